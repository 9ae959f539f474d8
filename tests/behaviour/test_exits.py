"""The exit code of each kind of result, and one line for each error."""

import os
import shlex
from pathlib import Path

import pytest

from queuectl.cli.main import SECTIONS, SUBCOMMANDS
from tests.ctl import Ctl, Result


def refused(result: Result) -> str:
    """Return the single line of an error."""
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1, result.err
    return result.err


@pytest.mark.parametrize(
    "words",
    [
        ["lst"],
        ["list", "--bla"],
        ["list", "--limit", "0"],
        ["show"],
        ["worker", "begin"],
        ["worker", "start", "--count", "0"],
        ["config", "set", "jitter"],
        ["wait", "1", "--timeout", "soon"],
        ["dashboard", "--port", "99999"],
        ["dashboard", "--host", "999.1.1.1"],
        ["dashboard", "--host", "x" * 70],
        ["dashboard", "--host", "a..é"],
    ],
)
def test_wrong_usage_exits_with_2(ctl: Ctl, words: list[str]) -> None:
    refused(ctl(*words, code=2))


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("lst", "queuectl has no subcommand 'lst'; did you mean queuectl list?"),
        ("worker sart", "queuectl worker has no subcommand 'sart'; did you mean queuectl worker "),
        ("worker status", "did you mean queuectl worker list?"),
        ("dlq purge", "did you mean queuectl dlq discard?"),
        ("config unset jitter", "did you mean queuectl config set KEY default?"),
        ("version", "did you mean queuectl --version?"),
        ("xyzzy", "queuectl has no subcommand 'xyzzy'; see queuectl --help"),
        ("list --stat x", "queuectl list has no option '--stat'; did you mean --state?"),
        ("worker start --workers 4", "did you mean --count?"),
        ("enqueue --command x", "did you mean -- CMD ARG?"),
        ("list -t", "option '-t' requires an argument; see queuectl list --help"),
        ("worker start -n", "requires an argument; see queuectl worker start --help"),
        ("list foo", "got unexpected extra argument (foo); did you mean queuectl show foo?"),
        ("dlq list foo", "did you mean queuectl dlq show foo?"),
        ("status encodes", "did you mean --queue encodes?"),
        ("list pending", "did you mean --state pending?"),
        ("list running", "did you mean --state processing?"),
        ("worker start encodes", "did you mean --queue encodes?"),
        ("worker start 4", "did you mean --count 4?"),
        ("show my film", "did you mean queuectl show 'my film'?"),
        ("show 1 2", "(2); see queuectl show --help"),
        ("list --state dead,completed", "repeat it: --state dead --state completed"),
        ("enqueue -- ''", "error: the command is empty: there is nothing to run"),
        (
            "enqueue --run-at 25:00 -- a",
            "14:05, 'tomorrow 9:00' or 'in 2h'",
        ),
        ("list --since 25:00", "'tomorrow 9:00' or 2h-ago"),
        ("list --bla", "queuectl list has no option '--bla'; see queuectl list --help"),
        ("list --state running", "unknown state 'running'; did you mean processing?"),
        ("list --state x", "the states are pending, processing, completed, failed, dead,"),
        ("events --type started", "unknown event type 'started'; did you mean claimed?"),
        ("config get backoff", "unknown setting 'backoff'; did you mean backoff-base?"),
        ("list --limit ten", "--limit must be a whole number from 1 to 1,000,000, not 'ten'"),
        ("list -n 0", "--limit must be a whole number from 1 to 1,000,000, not '0'"),
        ("logs 1 --tail 2.5", "--tail must be a whole number of at least 1, not '2.5'"),
        ("logs 1 --tail ٣", "--tail must be a whole number of at least 1, not '٣'"),
        ("enqueue --max-retries 2.5 -- a", "--max-retries must be a whole number, not '2.5'"),
        ("enqueue --max-retries -1 -- a", "--max-retries must be between 0 and 1,000,000"),
        ("enqueue --jitter ٣ -- a", "--jitter must be a number, not '٣'"),
        ("config set max-retries 2.5", "max-retries must be a whole number, not '2.5'"),
        ("config set max-retries ٣", "max-retries must be a whole number, not '٣'"),
        ("help list x", "queuectl list has no subcommands"),
    ],
)
def test_errors_suggest_the_probable_correction(ctl: Ctl, words: str, answer: str) -> None:
    assert answer in refused(ctl(*shlex.split(words), code=2))


def test_an_id_with_spaces_that_was_typed_without_quotes_is_offered_whole(ctl: Ctl) -> None:
    ctl.enqueue("true")
    ctl("enqueue", "--id", "my new film", "--", "true")
    message = refused(ctl("wait", "1", "my", "new", "film", code=3))
    assert message == "error: job my not found; did you mean 'my new film'?\n"
    assert "job my not found; see" in refused(ctl("cancel", "1", "my", "film", code=3))


def test_bare_queuectl_is_help(ctl: Ctl) -> None:
    assert ctl().out == ctl("--help").out == ctl("help").out
    assert ctl("help", "worker", "start").out == ctl("worker", "start", "--help").out


def test_every_subcommand_is_in_a_group_of_the_help() -> None:
    grouped = {name for names in SECTIONS.values() for name in names}
    assert {*SUBCOMMANDS} - grouped == {"help"}


def test_a_stream_without_an_event_exits_with_3(ctl: Ctl) -> None:
    ctl.enqueue("true")
    assert "job 7 not found" in refused(ctl("events", "--stream", "7", code=3))
    assert "unknown stream '$worker:x'" in refused(ctl("events", "--stream", "$worker:x", code=3))
    assert ctl("events", "--stream", "$config").out == ""


@pytest.mark.parametrize("words", [[], ["worker"], ["dlq", "retry"], ["enqueue"]])
def test_h_is_help(ctl: Ctl, words: list[str]) -> None:
    assert ctl(*words, "-h").out == ctl(*words, "--help").out


def test_the_help_of_a_group_cuts_no_sentence(ctl: Ctl) -> None:
    assert "..." not in ctl("--help").out.split("Jobs:")[1]
    for words in (["worker"], ["dlq"], ["config"]):
        assert "..." not in ctl(*words, "--help").out.split("Commands:")[1]


def test_a_shell_can_complete(ctl: Ctl) -> None:
    def completed(*words: str) -> list[str]:
        values = {
            "_QUEUECTL_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("queuectl", *words)),
            "COMP_CWORD": str(len(words)),
        }
        return [line.removeprefix("plain,") for line in ctl(env=values, code=None).lines]

    assert completed("wor") == ["worker"]
    assert completed("worker", "st") == ["start", "stop"]
    assert completed("list", "--st") == ["--state"]
    source = ctl(env={"_QUEUECTL_COMPLETE": "bash_source"}, code=None).out
    assert "complete -o nosort -F" in source


@pytest.mark.parametrize("words", [["worker"], ["dlq"], ["config"]])
def test_a_group_without_a_subcommand_exits_with_2_and_prints_help(
    ctl: Ctl, words: list[str]
) -> None:
    assert ctl(*words, code=2).err.startswith("Usage: queuectl")


def test_not_found_exits_with_3(ctl: Ctl) -> None:
    assert "queuectl list" in refused(ctl("show", "7", code=3))
    ctl.enqueue("true")
    assert "worker list" in refused(ctl("worker", "stop", "nobody", code=3))


def test_a_refusal_exits_with_4(ctl: Ctl) -> None:
    job = ctl.enqueue("true")
    assert "not dead" in refused(ctl("dlq", "retry", job, code=4))


def test_a_missing_named_queue_exits_with_6(ctl: Ctl, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.db")
    for words in (["list"], ["status"], ["verify"], ["events"], ["wait", "1"]):
        assert "no queue at" in refused(ctl("--db", missing, *words, code=6))
    assert ctl("list").out == ""
    assert "  pending: 0\n" in ctl("status").out


def test_the_error_names_a_missing_folder(ctl: Ctl, tmp_path: Path) -> None:
    missing = str(tmp_path / "nope" / "x.db")
    for words in (["list"], ["show", "1"], ["enqueue", "--", "true"]):
        message = refused(ctl("--db", missing, *words, code=6))
        assert f"there is no folder {tmp_path / 'nope'}; create it" in message


@pytest.mark.parametrize(
    "content", [b"", b"not a database" * 100, b"SQLite format 3\0" + bytes(99)]
)
def test_a_file_that_is_no_queue_exits_with_6_and_is_not_changed(ctl: Ctl, content: bytes) -> None:
    ctl.db.write_bytes(content)
    ctl.db.chmod(0o600)
    for words in (["list"], ["enqueue", "--", "true"], ["worker", "start"], ["replay"]):
        refused(ctl(*words, code=6))
    assert ctl.db.read_bytes() == content
    assert [path.name for path in ctl.folder.iterdir()] == [ctl.db.name]


def test_a_folder_or_a_fifo_exits_with_6(ctl: Ctl) -> None:
    os.mkfifo(ctl.db)
    refused(ctl("list", code=6))
    refused(ctl("--db", str(ctl.folder), "list", code=6))


def test_a_file_that_others_may_write_exits_with_6(ctl: Ctl) -> None:
    ctl.enqueue("true")
    ctl.db.chmod(0o666)
    assert "chmod" in refused(ctl("enqueue", "--", "true", code=6))


def test_an_error_shows_hostile_text_as_text(ctl: Ctl) -> None:
    assert "␛[2J" in refused(ctl("show", "\x1b[2J", code=3))
    assert "\u202e" not in refused(ctl("\u202elist", code=2))


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--limit", "99999999999999999999"],
        ["list", "--after", "99999999999999999999"],
        ["worker", "start", "--queue", ""],
        ["worker", "start", "--queue", "a\x1bb"],
    ],
)
def test_values_that_can_never_match_exit_with_2(ctl: Ctl, words: list[str]) -> None:
    ctl("enqueue", "--", "true")
    refused(ctl(*words, code=2))


def test_ids_that_are_not_utf8_exit_with_2(ctl: Ctl) -> None:
    ctl("enqueue", "--", "true")
    message = refused(ctl("cancel", "-", "--yes", stdin=b"\xff\xfe\n", code=2))
    assert message == "error: standard input is not UTF-8; give ids, one per line\n"


@pytest.mark.parametrize("word", ["", "$", "$config", "$context", "$worker:1", "$x"])
def test_a_text_that_is_no_id_is_not_found(ctl: Ctl, word: str) -> None:
    ctl.dead_job()
    before = ctl("status", "--json").json["head_hash"]
    for words in (["cancel"], ["dlq", "retry"], ["show"], ["history"], ["wait"], ["logs"]):
        assert " not found; see queuectl list" in refused(ctl(*words, word, code=3))
    assert ctl("status", "--json").json["head_hash"] == before

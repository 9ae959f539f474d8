"""Output to a pipe that closes, to a full disk, to closed descriptors, and in any locale."""

import json
import subprocess

import pytest

from tests.ctl import DEADLINE_S, PROGRAM, Ctl
from tests.sampling import first_of

QUEUECTL = " ".join(PROGRAM)


def shell(ctl: Ctl, line: str) -> "subprocess.CompletedProcess[str]":
    """Run a line in bash, in which `queuectl` is the program."""
    return subprocess.run(
        ["bash", "-c", f'queuectl() {{ {QUEUECTL} "$@"; }}\nset -o pipefail\n{line}'],
        env=ctl.env,
        cwd=ctl.folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.fixture
def filled(ctl: Ctl) -> Ctl:
    """A queue with longer answers than a pipe can buffer."""
    lines = "".join('{"command": "echo %s"}\n' % ("x" * 200) for _ in range(2_000))
    ctl("enqueue", "--file", "-", stdin=lines)
    return ctl


@pytest.mark.parametrize("words", ["list --all", "list --all --jsonl", "events", "events --jsonl"])
def test_head_ends_a_list_quietly(filled: Ctl, words: str) -> None:
    done = shell(filled, f"queuectl {words} | head -1")
    assert (done.stderr, done.returncode) == ("", 141)
    assert done.stdout.count("\n") == 1


def test_a_closed_stdout_is_not_an_error(ctl: Ctl) -> None:
    for words in ("enqueue -- true", "list", "status", "history 1", "status --json"):
        done = shell(ctl, f"queuectl {words} >&-")
        assert (done.returncode, "rror" in done.stderr) == (0, False)
    assert ctl("list").jobs == ["1"]


def test_closed_descriptors_do_not_become_the_queue_file(ctl: Ctl) -> None:
    assert shell(ctl, "queuectl enqueue -- true <&- >&- 2>&-").returncode == 0
    assert shell(ctl, "queuectl show nothing <&- >&- 2>&-").returncode == 3
    assert (
        "no jobs given; nothing was enqueued" in shell(ctl, "queuectl enqueue --file - <&-").stderr
    )
    assert "no jobs given; name them" in shell(ctl, "queuectl cancel <&- >&-").stderr
    assert ctl("verify").code == 0
    assert ctl("list").jobs == ["1"]


def test_a_full_disk_for_the_answer_is_reported_in_one_line(ctl: Ctl) -> None:
    ctl.enqueue("true")
    done = shell(ctl, "queuectl list >/dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert done.stderr.startswith("error: No space left")


WRITES = [
    ("enqueue -- true", "job 2"),
    ("enqueue --priority 1 -- true", "job 2"),
    ("enqueue --json -- true", "job 2"),
    ("""enqueue '[{"command": "a"}, {"command": "b"}, {"id": "x", "command": "c"}]'""", "2-3, x"),
    ("cancel 1", "job 1"),
    ("cancel 1 --json", "job 1"),
    ("config set jitter 1", "jitter = 1"),
    ("config set jitter 1 --json", "jitter = 1"),
]


@pytest.mark.parametrize(("words", "recorded"), WRITES)
@pytest.mark.parametrize("target", [">/dev/full", "| true"])
def test_a_recorded_change_without_an_answer_is_reported(
    ctl: Ctl, words: str, recorded: str, target: str
) -> None:
    ctl.enqueue("true")
    before = ctl("status", "--json").json["position"]
    done = shell(ctl, f"queuectl {words} {target}")
    assert done.returncode == 9
    assert done.stderr.startswith("error: cannot write to standard output: ")
    assert f"already recorded: {'the change of ' * ('cancel' in words)}" in done.stderr
    assert recorded in done.stderr
    assert done.stderr.count("\n") == 1
    assert ctl("status", "--json").json["position"] > before


def test_dead_jobs_retried_without_an_answer_are_named(ctl: Ctl) -> None:
    ctl.dead_job()
    done = shell(ctl, "queuectl dlq retry --all >/dev/full")
    assert (done.returncode, "the change of job 1;" in done.stderr) == (9, True)


def test_a_backup_or_restore_without_an_answer_is_reported(ctl: Ctl) -> None:
    assert not ctl.db.exists()
    ctl.enqueue("true")
    done = shell(ctl, "queuectl backup b.db >/dev/full")
    head = ctl("--db", "b.db", "status", "--json").json
    assert done.returncode == 9
    assert f"b.db with head {head['position']}:{head['head_hash']};" in done.stderr
    done = shell(ctl, "queuectl restore b.db >/dev/full")
    assert (done.returncode, f"restored from {ctl.folder / 'b.db'};" in done.stderr) == (9, True)


def test_retried_jobs_without_an_answer_are_named(ctl: Ctl) -> None:
    job = ctl.enqueue("true", delay="1h")
    done = shell(ctl, f"queuectl retry {job} | true")
    assert (done.returncode, "the change of job 1;" in done.stderr) == (9, True)
    assert ctl.show(job)["state"] == "pending"


def test_many_ids_that_cannot_be_written_are_named_as_a_range(ctl: Ctl) -> None:
    done = shell(
        ctl, 'yes \'{"command": "true"}\' | head -3000 | queuectl enqueue --file - >/dev/full'
    )
    assert done.returncode == 9
    assert "already recorded: jobs 1-3000;" in done.stderr


def test_the_exit_code_shows_whether_the_change_was_recorded(ctl: Ctl) -> None:
    ctl.enqueue("true")
    nowhere = ">/dev/full 2>/dev/full"
    assert shell(ctl, f"queuectl enqueue -- true {nowhere}").returncode == 9
    assert shell(ctl, f"queuectl enqueue --json -- true {nowhere}").returncode == 9
    assert shell(ctl, f"queuectl enqueue --dry-run -- true {nowhere}").returncode == 6
    assert shell(ctl, f"queuectl list {nowhere}").returncode == 6
    assert len(ctl("list").jobs) == 3


def test_messages_that_cannot_be_written_change_no_result(ctl: Ctl) -> None:
    assert shell(ctl, "queuectl enqueue -- true 2>/dev/full").stdout == "1\n"
    assert shell(ctl, "queuectl show 99 2>/dev/full").returncode == 3
    assert shell(ctl, "queuectl enqueue '{' 2>/dev/full").returncode == 2


@pytest.mark.parametrize(
    "locale", first_of(["C", "en_US.ISO-8859-1", "POSIX", "xx_YY.nonsense"], 2)
)
def test_any_locale_prints_any_text(ctl: Ctl, locale: str) -> None:
    ctl.enqueue("echo naïve ☃")
    for words in ("list", "show 1", "history 1", "list --json"):
        assert ctl(*words.split(), env={"LC_ALL": locale}).err == ""
    ascii_only = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    assert r"na\xefve" in ctl("list", env=ascii_only).out


@pytest.mark.parametrize("encoding", first_of(["ascii", "utf-16", "latin-1", "cp037", "utf-8"], 2))
def test_json_is_json_in_any_encoding(ctl: Ctl, encoding: str) -> None:
    command = "echo naïve ☃ 𝄞"
    ctl.enqueue(command)
    env = {"PYTHONUTF8": "0", "PYTHONIOENCODING": encoding}
    assert ctl("list", "--json", env=env).json["jobs"][0]["command"] == command
    assert json.loads(ctl("list", "--jsonl", env=env).out)["command"] == command
    assert json.loads(ctl("events", "--jsonl", env=env).lines[-1])["data"]["command"] == command
    assert ctl("show", "1", "--json", env=env).json["job"]["command"] == command


def test_ids_can_be_piped_from_one_command_to_the_next(ctl: Ctl) -> None:
    done = shell(
        ctl,
        "id=$(queuectl enqueue -- true) && queuectl list --state pending | cut -f1 |"
        " queuectl cancel - && queuectl show $id | grep state",
    )
    assert "state\tcancelled" in done.stdout

"""`enqueue` as typed."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from queuectl import Queue
from queuectl.errors import BadInput
from tests.behaviour.test_terminal import screen
from tests.ctl import PROGRAM, Ctl


def test_a_pipe_gets_the_bare_id(ctl: Ctl) -> None:
    assert ctl("enqueue", "--", "true").out == "1\n"
    assert ctl("enqueue", "--", "true").out == "2\n"


def test_one_argument_is_shell_text_and_several_are_a_list(ctl: Ctl) -> None:
    shell = ctl("enqueue", "--", "echo $HOME; true").out.strip()
    words = ctl("enqueue", "--", "echo", "$HOME", "--json", "a b").out.strip()
    assert ctl.show(shell)["argv"] is None
    assert ctl.show(words)["argv"] == ["echo", "$HOME", "--json", "a b"]
    assert ctl.show(words)["command"] == "echo '$HOME' --json 'a b'"


def test_options_are_the_keys_of_the_json(ctl: Ctl) -> None:
    typed = ctl(
        *("enqueue", "--name", "n", "--tag", "a=1", "--tag", "b=2", "--queue", "q"),
        *("--priority", "-3", "--delay", "1h", "--max-retries", "7", "--backoff-base", "1.5"),
        *("--backoff-max", "30m", "--jitter", "0.5", "--no-retry-exit", "64,65"),
        *("--success-exit", "0,3", "--timeout", "5m", "--grace", "2s", "--output-limit", "1M"),
        *("--cwd", "/srv", "--env", "A=1", "--", "true"),
    )
    spec = {
        "name": "n",
        "tags": {"a": "1", "b": "2"},
        "queue": "q",
        "priority": -3,
        "delay": "1h",
        "max_retries": 7,
        "backoff_base": 1.5,
        "backoff_max": 1800,
        "jitter": 0.5,
        "no_retry_exit": [64, 65],
        "success_exit": [0, 3],
        "timeout": 300,
        "grace": 2,
        "output_limit": "1M",
        "cwd": "/srv",
        "env": {"A": "1"},
    }
    written = ctl.enqueue("true", **spec)
    jobs = [ctl.show(job) for job in (typed.out.strip(), written)]
    for job in jobs:
        for own in ("id", "enqueued_at", "changed_at", "due_at"):
            del job[own]
    assert jobs[0] == jobs[1]
    assert jobs[0]["policy"]["backoff_max_s"] == 1800
    assert jobs[0]["state"] == "scheduled"


@pytest.mark.parametrize(
    "document",
    [
        '[{"command": "echo 1"}, {"command": "echo 2"}]',
        '{"command": "echo 1"}\n\n{"command": "echo 2"}\n',
    ],
)
def test_a_file_brings_many_jobs_in_one_append(ctl: Ctl, document: str) -> None:
    ids = ctl("enqueue", "--file", "-", stdin=document).lines
    assert ids == ["1", "2"]
    assert len({ctl.history(job)[0]["batch"] for job in ids}) == 1


def test_one_bad_line_prevents_all_jobs_of_the_file(ctl: Ctl) -> None:
    lines = [json.dumps({"command": f"echo {n}"}) for n in range(100)]
    lines[57] = '{"command": "echo", "max_retrys": 3}'
    (ctl.folder / "jobs.jsonl").write_text("\n".join(lines))
    refused = ctl("enqueue", "--file", "jobs.jsonl", code=2)
    assert refused.out == ""
    assert refused.err == (
        "error: jobs.jsonl: line 58: unknown job key 'max_retrys';"
        " did you mean max_retries?; nothing was enqueued\n"
    )
    assert not ctl.db.exists()


def test_many_lines_are_taken_at_once(ctl: Ctl) -> None:
    lines = "".join('{"command": "true"}\n' for _ in range(5_000))
    assert ctl("enqueue", "--file", "-", stdin=lines).lines == [str(n) for n in range(1, 5_001)]
    assert ctl("status", "--json").json["counts"]["pending"] == 5_000
    assert ctl("replay", "--check").code == 0


def test_the_same_request_under_the_same_id_is_the_same_job(ctl: Ctl) -> None:
    spec = '{"id": "nightly", "command": "make"}'
    assert ctl("enqueue", spec).out == ctl("enqueue", spec).out == "nightly\n"
    assert ctl.event_types("nightly") == ["enqueued"]
    answer = ctl("enqueue", '[{"id": "nightly", "command": "make"}, {"command": "b"}]', "--json")
    assert (answer.json["ids"], answer.json["existing"]) == (["nightly", "1"], ["nightly"])
    refused = ctl("enqueue", '{"id": "nightly", "command": "make all"}', code=4)
    assert "nightly" in refused.err


def test_json_has_the_head_to_save(ctl: Ctl) -> None:
    answer = ctl("enqueue", "--json", "--", "true").json
    assert (answer["schema"], answer["ids"]) == (1, ["1"])
    assert ctl("verify", "--expect", f"{answer['position']}:{answer['head_hash']}").code == 0


def test_a_dry_run_shows_events_and_records_none(ctl: Ctl) -> None:
    ctl.enqueue("true")
    shown = ctl("enqueue", "--dry-run", "--", "false")
    assert shown.out.split("\t")[3] == "enqueued"
    assert ctl("list").jobs == ["1"]
    assert ctl.enqueue("true") == "2"


def test_a_dry_run_creates_no_queue(ctl: Ctl) -> None:
    shown = ctl("enqueue", "--dry-run", "--", "false")
    assert "enqueued" in shown.out
    assert shown.err == ""
    ctl("config", "set", "jitter", "1", "--dry-run")
    assert list(ctl.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "command", "state"),
    [
        ("1", "true", "completed"),
        ("1", "exit 1", "completed"),
        ("only:1,3", "true", "dead"),
        ("only:1,3", "exit 3", "completed"),
        ("SIGTERM", "kill -TERM $$", "completed"),
        ("143", "kill -TERM $$", "completed"),
        ("SIGKILL", "kill -TERM $$", "dead"),
    ],
)
def test_exit_codes_of_success_are_added_to_0(
    ctl: Ctl, typed: str, command: str, state: str
) -> None:
    options = ("--max-retries", "0", "--success-exit", typed)
    first = ctl("enqueue", *options, "--", command).out.strip()
    second = ctl.enqueue(command, max_retries=0, success_exit=typed)
    ctl.drain()
    assert ctl.show(first)["state"] == ctl.show(second)["state"] == state


@pytest.mark.parametrize("typed", ["137", "SIGKILL", "KILL", "signal:9"])
def test_a_job_killed_by_a_named_signal_is_not_retried(ctl: Ctl, typed: str) -> None:
    job = ctl("enqueue", "--no-retry-exit", typed, "--", "kill -KILL $$").out.strip()
    ctl.drain()
    assert ctl.event_types(job) == ["enqueued", "claimed", "failed", "dead"]
    assert "no retry" in "".join(screen(ctl, "show", job).lines)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["hello"], "is not JSON"),
        (['"echo hi"'], "not a JSON string"),
        (['[["echo"]]'], "not a JSON array"),
        (['{"command": ["echo", "x"]}'], '["echo", "x"]'),
        (['{"command": "a", "max_retries": -1}'], "must be between 0 and 1,000,000"),
        (["--id", "last", "--", "a"], "is reserved"),
        (["--tag", "a=b", "--tag", "a=d", "--", "a"], "a=b and a=d"),
        (["{command: hello}"], "invalid JSON"),
        (["[]"], "no job"),
        (['{"command": ""}'], "empty"),
        (['{"command": "a", "retries": 1}'], "did you mean max_retries?"),
        (["--queue", "q", '{"command": "a"}'], "--queue needs -- CMD"),
        (["--timeout", "-5m", "--", "a"], "not a duration"),
        (["--success-exit", "x", "--", "a"], "no exit code"),
        (["--max-retries", "x", "--", "a"], "must be a whole number, not 'x'"),
        (["--file", "missing.json"], "No such file"),
        (["--file", "."], "directory"),
        ([], "give a job"),
        (["--"], "give a job"),
        (['{"command": "a"}', '{"command": "b"}'], "not both"),
        (['{"command": "a"}', "b"], "not both"),
        (['{"command": "a"}', "--", "b"], "not both"),
        (["make", "--", "all"], "'make' is not JSON"),
        (["make", "all"], "to run it as a command: queuectl enqueue -- make all"),
        (["--queue", "q", "echo", "-n", "a b"], "queuectl enqueue --queue q -- echo -n 'a b'\n"),
        (["--priority", "1", "--tag", "a=1", "ls"], "enqueue --priority 1 --tag a=1 -- ls\n"),
        (["-"], "queuectl enqueue --file -\n"),
        (["--file", "jobs.json", "--", "b"], "give a job"),
        (["queue.db.none"], "to run it as a command"),
    ],
)
def test_bad_input_is_refused_in_one_line(ctl: Ctl, words: list[str], reason: str) -> None:
    refused = ctl("enqueue", *words, code=2)
    assert reason in refused.err
    assert refused.err.startswith("error: ")
    assert refused.err.count("\n") == 1
    assert not ctl.db.exists()


def test_a_file_without_its_option_is_answered_with_the_line_to_type(ctl: Ctl) -> None:
    (ctl.folder / "my job.json").write_text('{"command": "true"}')
    refused = ctl("enqueue", "my job.json", code=2).err
    assert refused.endswith("to read jobs from a file: queuectl enqueue --file 'my job.json'\n")


def test_an_argument_that_is_not_utf8_is_refused(ctl: Ctl) -> None:
    done = subprocess.run(
        [*PROGRAM, "enqueue", "--", b"echo \xff"], env=ctl.env, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"UTF-8" in done.stderr


def test_a_new_queue_is_announced_once(ctl: Ctl) -> None:
    assert str(ctl.db) in ctl("enqueue", "--", "true").err
    assert ctl("enqueue", "--", "true").err == ""


def test_sixteen_at_once_get_the_ids_one_to_n(ctl: Ctl, tmp_path: Path) -> None:
    ctl.enqueue("true")
    running = [ctl.start("enqueue", "--", "true") for _ in range(16)]
    done = [process.ends() for process in running]
    assert [process.err for process in done] == [""] * 16
    assert sorted(int(process.out) for process in done) == list(range(2, 18))


def test_a_missing_folder_is_reported_and_not_created(ctl: Ctl) -> None:
    refused = ctl("--db", "nope/x.db", "enqueue", "--", "ls", code=6).err
    assert refused.startswith(f"error: there is no folder {ctl.folder / 'nope'}; create it")
    assert not (ctl.folder / "nope").exists()


def test_a_whole_number_may_have_a_decimal_point_in_json(ctl: Ctl) -> None:
    ctl(
        "enqueue",
        '{"id": "a", "command": "true", "max_retries": 2.0, "output_limit": 4096.0}',
        code=0,
    )
    with Queue(ctl.place) as queue:
        assert repr(queue.get("a").spec.max_retries) == "2"
    for number in ("2.5", "1e300", "-1.0"):
        ctl("enqueue", f'{{"command": "true", "max_retries": {number}}}', code=2)


@pytest.mark.parametrize("jobs", [5, None, "true", {"command": "true"}])
def test_in_python_many_jobs_are_a_list(ctl: Ctl, jobs: Any) -> None:
    with Queue(ctl.place) as queue, pytest.raises(BadInput, match="jobs is a list of dicts, not "):
        queue.enqueue_many(jobs)

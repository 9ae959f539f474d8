"""Which queue file a command uses, where it creates one, and what it says if it cannot."""

import errno
import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import pexpect
import pytest

from eventstore.renaming import rename_new
from queuectl import BadInput, Queue, QueueError, StoreError
from queuectl.errors import IdTaken
from tests.ctl import DEADLINE_S, PROGRAM, Ctl
from tests.machine import BECOMES_OTHER_USER, OTHER_USER
from tests.mounts import by_shell, with_mounts
from tests.neighbour import shared_folder

NOTHING_TO_DO = (
    ["worker", "stop"],
    ["cancel", "1"],
    ["cancel", "--all", "--yes"],
    ["retry", "1"],
    ["dlq", "retry", "--all"],
    ["dlq", "discard", "1"],
    ["config", "get", "timeout"],
    ["config", "list"],
    ["dashboard", "--port", "0"],
    ["list"],
    ["replay"],
)
"""Commands that have nothing to do in a new queue."""


@pytest.mark.parametrize("words", NOTHING_TO_DO, ids=" ".join)
def test_a_mistyped_queue_is_not_created(ctl: Ctl, words: list[str]) -> None:
    error = ctl("--db", "typo.db", *words, code=6).err
    assert f"no queue at {ctl.folder / 'typo.db'}" in error
    assert error.count("\n") == 1
    assert os.listdir(ctl.folder) == []


@pytest.mark.parametrize("words", NOTHING_TO_DO[:-3], ids=" ".join)
def test_a_queue_that_nobody_named_is_empty_until_the_first_job(ctl: Ctl, words: list[str]) -> None:
    done = ctl(*words, code=None)
    assert done.code in (0, 3)
    assert "Traceback" not in done.err
    assert os.listdir(ctl.folder) == []


def test_the_dashboard_of_a_queue_that_nobody_named_creates_none(ctl: Ctl) -> None:
    with ctl.running("dashboard", "--port", "0") as dashboard:
        dashboard.says("dashboard of")
        assert os.listdir(ctl.folder) == []


@pytest.mark.parametrize(
    "words", [["enqueue", "--", "true"], ["config", "set", "jitter", "0"]], ids=" ".join
)
def test_commands_that_write_create_the_queue(ctl: Ctl, words: list[str]) -> None:
    ctl("--db", "new.db", *words)
    assert (ctl.folder / "new.db").exists()


def homeless(ctl: Ctl, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the program as a user without HOME and without a passwd entry."""
    hidden = {"HOME", "QUEUECTL_DB", "XDG_STATE_HOME"}
    program = f"""
import pwd, sys
def nobody(uid):
    raise KeyError(uid)
pwd.getpwuid = nobody
sys.argv = ["queuectl", *{list(words)!r}]
from queuectl.entry import program
program()"""
    return subprocess.run(
        [PROGRAM[0], "-c", program],
        env={name: text for name, text in ctl.env.items() if name not in hidden},
        cwd=ctl.folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "words", [["enqueue", "--", "true"], ["list"], ["worker", "start"], ["doctor"]], ids=" ".join
)
def test_a_user_without_a_home_has_to_name_a_queue(ctl: Ctl, words: Sequence[str]) -> None:
    done = homeless(ctl, *words)
    assert done.returncode == 6
    assert "has no home directory" in done.stderr
    assert "--db or QUEUECTL_DB" in done.stderr
    assert done.stderr.count("\n") == 1
    assert os.listdir(ctl.folder) == []


def test_a_user_without_a_home_may_name_a_queue(ctl: Ctl) -> None:
    assert homeless(ctl, "--db", "here.db", "enqueue", "--", "true").stdout == "1\n"


as_root = pytest.mark.skipif(not BECOMES_OTHER_USER, reason="only root can act for another user")


@as_root
def test_root_makes_no_folders_in_the_home_of_another_user(ctl: Ctl) -> None:
    """The situation after `sudo queuectl`, which keeps HOME."""
    home = ctl.folder / "home"
    home.mkdir()
    os.chown(home, OTHER_USER, OTHER_USER)
    env = {"HOME": str(home), "QUEUECTL_DB": "", "XDG_STATE_HOME": ""}
    for words in (["enqueue", "--", "true"], ["worker", "start"], ["config", "set", "jitter", "0"]):
        error = ctl(*words, env=env, code=6).err
        assert (
            f"{home} belongs to user {OTHER_USER}, and this is root with that user's HOME" in error
        )
        assert error.count("\n") == 1
    assert os.listdir(home) == []
    assert ctl("list", env=env).out == ""


@as_root
def test_a_folder_of_another_user_in_the_path_is_named() -> None:
    """The folder that root leaves after `sudo queuectl` with the HOME of its user."""
    with shared_folder(0o777) as folder:
        ctl = Ctl(folder)
        ctl.env |= {"HOME": str(folder), "QUEUECTL_DB": "", "XDG_STATE_HOME": ""}
        theirs = folder / ".local"
        (theirs / "state").mkdir(parents=True)
        theirs.chmod(0o700)
        as_other = ["setpriv", f"--reuid={OTHER_USER}", "--clear-groups", *PROGRAM]
        for words, code in ((["status"], 6), (["enqueue", "--", "true"], 6), (["doctor"], 1)):
            done = subprocess.run(
                [*as_other, *words], env=ctl.env, cwd="/", capture_output=True, text=True
            )
            if "No module named" in done.stderr or "Permission denied: '/" in done.stderr:
                pytest.skip("another user cannot run the program from here")
            printed = done.stdout + done.stderr
            assert (done.returncode, "Traceback" in printed) == (code, False), printed
            assert f"{theirs} belongs to user 0" in printed
            assert f"sudo chown -R {OTHER_USER} {theirs}" in printed


def test_status_and_lists_say_which_queue_they_show(ctl: Ctl) -> None:
    ctl.enqueue("true")
    assert f"Queue: {ctl.db} (named by QUEUECTL_DB)" in ctl("status").lines
    assert f"Queue: {ctl.db} (named by --db)" in ctl("--db", "queue.db", "status").lines
    here = ctl("status", env={"QUEUECTL_DB": ""}).lines
    assert f"Queue: {ctl.db} (found in the working directory)" in here
    assert ctl("list").out.count("\n") == 1, "a pipe gets jobs alone"
    screen, _ = pexpect.run(
        f"{' '.join(PROGRAM)} list",
        env={**ctl.env, "COLUMNS": "400"},
        cwd=str(ctl.folder),
        timeout=DEADLINE_S,
        withexitstatus=True,
    )
    assert "(named by QUEUECTL_DB)" in screen.decode()


def test_a_folder_whose_name_is_not_utf8_is_refused(ctl: Ctl) -> None:
    folder = os.path.join(os.fsencode(ctl.folder), b"caf\xe9")
    os.mkdir(folder)
    for words in (["enqueue", "--", "true"], ["list"], ["worker", "start"], ["doctor"]):
        done = subprocess.run(
            [*PROGRAM, "--db", "queue.db", *words],
            env=ctl.env,
            cwd=folder,
            capture_output=True,
            check=False,
        )
        assert done.returncode == (1 if words == ["doctor"] else 6), done
        assert b"is a path that is not UTF-8" in done.stderr + done.stdout
        assert b"Traceback" not in done.stderr
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    "words",
    [
        ["events", "--json"],
        ["events", "--jsonl"],
        ["events", "--stream", "$config"],
        ["status", "--json"],
    ],
    ids=" ".join,
)
def test_readers_of_a_queue_that_does_not_exist_yet_find_it_empty(
    ctl: Ctl, words: list[str]
) -> None:
    assert ctl(*words).err == ""
    assert os.listdir(ctl.folder) == []


@pytest.mark.parametrize("actor", ["a\nb", "", "a\0b", "x" * 201, "\ud800", 7])
def test_an_actor_that_the_log_cannot_hold_is_refused(ctl: Ctl, actor: Any) -> None:
    with pytest.raises(BadInput, match="actor is"):
        Queue(ctl.place, actor=actor)
    assert os.listdir(ctl.folder) == []


def test_many_jobs_are_enqueued_from_dicts(ctl: Ctl) -> None:
    with Queue(ctl.place) as queue:
        ids = queue.enqueue_many(
            [{"command": "true"}, {"argv": ["echo", "x"], "max_retries": 2, "delay": "5m"}]
        )
        assert ids == ["1", "2"]
        assert queue.get("2").state == "scheduled"
        for jobs, message in (
            ([{"command": "true"}, {"command": ""}], "job 2: "),
            ([{"command": "true", "colour": "red"}], "job 1: "),
            (["true"], "job 1 is a dict"),
            ([None], "job 1 is a dict"),
        ):
            with pytest.raises(BadInput, match=message):
                queue.enqueue_many(jobs)  # type: ignore[arg-type]
        with pytest.raises(IdTaken):
            queue.enqueue_many([{"command": "a", "id": "x"}, {"command": "b", "id": "x"}])
        assert queue.store.head().position == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--db", "q.db", "list"], "the working directory no longer exists"),
        (["--db", "q.db", "enqueue", "--", "true"], "the working directory no longer exists"),
        (["backup", "x.db"], "the working directory no longer exists"),
        (["restore", "x.db"], "the working directory no longer exists"),
    ],
    ids=" ".join,
)
def test_a_working_directory_that_was_removed_is_the_cause(
    ctl: Ctl, words: list[str], message: str
) -> None:
    ctl.enqueue("true")
    gone = ctl.folder / "gone"
    gone.mkdir()
    done = by_shell(ctl, f'cd gone; rmdir ../gone; "$@" {" ".join(words)}')
    assert done.returncode == 6
    assert message in done.stderr
    assert "change to another one" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_empty_name_is_refused(ctl: Ctl) -> None:
    """`--db "$QUEUE"` with an unset variable must not select another queue."""
    assert "is not a path" in ctl("--db", "", "enqueue", "--", "true", code=6).err
    assert os.listdir(ctl.folder) == []


def test_a_full_folder_for_temporary_files_is_the_cause(ctl: Ctl) -> None:
    (ctl.folder / "jobs").write_text('{"command": "true"}\n' * 20_000)
    (ctl.folder / "disk").mkdir()
    script = 'mount -t tmpfs -o size=64k tmpfs disk; TMPDIR=$PWD/disk "$@" enqueue --file jobs'
    done = with_mounts(ctl, script)
    assert done.returncode == 6
    assert f"no temporary file can be written in {ctl.folder}/disk" in done.stderr
    assert "TMPDIR" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not ctl.db.exists()


def test_the_limit_of_file_sizes_is_the_cause(ctl: Ctl) -> None:
    ctl.enqueue("true")
    for words in ("enqueue -- true", "--db new.db enqueue -- true", "backup copy.db"):
        done = by_shell(ctl, f'ulimit -f 20; "$@" {words}')
        assert done.returncode == 6, done
        assert "raise it (ulimit -f unlimited)" in done.stderr
        assert done.stderr.count("\n") == 1
    assert ctl("list").jobs == ["1"]


def test_a_queue_can_be_created_without_hard_links(
    ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(old: str, new: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with Queue(ctl.place) as queue:
        queue.enqueue("true")
    assert ctl("list").jobs == ["1"]
    (ctl.folder / "old").write_text("old")
    assert not rename_new(str(ctl.folder / "old"), str(ctl.db))
    assert ctl("list").jobs == ["1"]


WRONG: dict[str, Callable[[Queue, Any], object]] = {
    "get": lambda queue, value: queue.get(value),
    "cancel": lambda queue, value: queue.cancel(value),
    "retry": lambda queue, value: queue.retry(value),
    "wait": lambda queue, value: queue.wait(value),
    "reason": lambda queue, value: queue.cancel("1", reason=value),
    "events": lambda queue, value: list(queue.events(since=value)),
    "enqueue_many": lambda queue, value: queue.enqueue_many([value]),
    "enqueue": lambda queue, value: queue.enqueue(value),
    "path": lambda _, value: Queue(value),
}


@pytest.mark.parametrize("call", WRONG)
@pytest.mark.parametrize("value", [object(), ["1", 2], {1: 2}, "\ud800", 1.5, b"\xff\0"])
def test_a_wrong_value_in_python_is_one_sentence(ctl: Ctl, call: str, value: Any) -> None:
    with Queue(ctl.place) as queue:
        queue.enqueue("true", delay="1h")
        head = queue.store.head()
        with pytest.raises((QueueError, StoreError)):
            WRONG[call](queue, value)
        assert queue.store.head() == head


def test_ids_in_python_may_be_numbers(ctl: Ctl) -> None:
    with Queue(ctl.place) as queue:
        queue.enqueue("true", delay="1h")
        assert queue.get(1).id == "1"  # type: ignore[arg-type]
        assert queue.cancel(1).state == "cancelled"  # type: ignore[arg-type]
        assert list(queue.events(since=2**70)) == []

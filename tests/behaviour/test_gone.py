"""Commands that wait report that their queue file was removed, and end."""

import shutil
from pathlib import Path

import pexpect
import pytest

from eventstore.errors import Gone
from queuectl import Queue
from queuectl.dashboard.app import create_app
from tests.at_terminal import ended
from tests.crashed import leave_a_wal
from tests.ctl import DEADLINE_S, PROGRAM, UNPOLLED_S, Ctl, until

FOLLOWERS = (
    ("wait", "1"),
    ("wait", "1", "--timeout", "1h"),
    ("logs", "1", "-f"),
    ("events", "-f"),
    ("events", "-f", "--jsonl"),
)


def remove(db: Path) -> None:
    db.unlink()


def move_aside(db: Path) -> None:
    """Move the whole queue to another name, and create a new one in its place."""
    for path in db.parent.glob("queue.db*"):
        path.rename(path.with_name(path.name.replace("queue", "old")))
    with Queue(db) as queue:
        queue.enqueue("true")


def replace(db: Path) -> None:
    shutil.copy(db, db.with_suffix(".new"))
    db.with_suffix(".new").chmod(0o600)
    db.with_suffix(".new").rename(db)


TAKEN = {"removed": remove, "moved aside": move_aside, "replaced": replace}


EACH_WAY = [
    pytest.param(
        words,
        taken,
        marks=() if number % len(TAKEN) == way else pytest.mark.proof,
        id=f"{' '.join(words)}-{taken}",
    )
    for number, words in enumerate(FOLLOWERS)
    for way, taken in enumerate(TAKEN)
]
"""Each command with each way to lose the queue; `make test` takes one way for each."""


@pytest.mark.parametrize(("words", "taken"), EACH_WAY)
def test_a_waiting_command_reports_that_the_queue_is_gone(
    ctl: Ctl, words: tuple[str, ...], taken: str
) -> None:
    ctl.enqueue("true")
    with ctl.running(*words) as running:
        listening(ctl)
        TAKEN[taken](ctl.db)
        error = running.says("was deleted or replaced while in use", deadline_s=UNPOLLED_S)
        assert error.startswith(f"error: {ctl.db} was deleted or replaced")
        assert running.ends().code == 6


def listening(ctl: Ctl) -> None:
    """Wait until the command has opened the queue and waits for new events."""
    bells = Path(f"{ctl.db}.d/bells")
    until(lambda: (bells.is_dir() and any(bells.iterdir())) or None, "its bell")


def test_watch_ends_when_the_queue_is_gone(ctl: Ctl) -> None:
    ctl.enqueue("true")
    screen = pexpect.spawn(
        PROGRAM[0],
        [*PROGRAM[1:], "status", "--watch", "60"],
        env=ctl.env,
        cwd=str(ctl.folder),
        timeout=DEADLINE_S,
    )
    screen.expect("Head: ")
    listening(ctl)
    ctl.db.unlink()
    screen.expect("was deleted or replaced while in use", timeout=UNPOLLED_S)
    assert ended(screen) == 6


def test_the_python_api_reports_that_the_queue_is_gone(ctl: Ctl) -> None:
    ctl.enqueue("true")
    with Queue(ctl.place) as queue:
        ctl.db.unlink()
        with pytest.raises(Gone):
            queue.wait("1", timeout_s=UNPOLLED_S)


def test_a_queue_in_python_never_reads_one_file_and_writes_to_another(ctl: Ctl) -> None:
    with Queue(ctl.place) as queue:
        queue.enqueue("true")
        move_aside(ctl.db)
        with pytest.raises(Gone):
            queue.get("1")


def test_the_dashboard_reports_that_the_queue_is_gone(ctl: Ctl) -> None:
    ctl.enqueue("echo hello")
    client = create_app(ctl.place).test_client()
    assert "echo hello" in client.get("/jobs", base_url="http://127.0.0.1:5000").text
    ctl.db.unlink()
    gone = client.get("/jobs", base_url="http://127.0.0.1:5000")
    assert gone.status_code == 503
    assert "no queue at" in gone.text
    Path(f"{ctl.db}-wal").unlink(missing_ok=True)
    ctl.enqueue("echo anew")
    assert "echo anew" in client.get("/jobs", base_url="http://127.0.0.1:5000").text


def other_queue(ctl: Ctl) -> Path:
    """Create another queue, without a -wal."""
    other = ctl.folder / "other.db"
    with Queue(other) as queue:
        queue.enqueue("echo other")
    return other


def test_a_file_put_in_place_of_another_does_not_take_over_its_wal(ctl: Ctl) -> None:
    other = other_queue(ctl)
    leave_a_wal(ctl.db)
    aside = ctl.folder / "aside.db"
    ctl.db.rename(aside)
    shutil.copy(other, ctl.db)
    content = ctl.db.read_bytes()
    for words in (("list",), ("verify",), ("enqueue", "--", "true"), ("restore", "other.db")):
        error = ctl(*words, code=6).err
        assert error.startswith(f"error: {ctl.db}-wal belongs to another queue file")
        assert error.count("\n") == 1
    assert ctl.db.read_bytes() == content
    Path(f"{ctl.db}-wal").rename(f"{aside}-wal")
    assert "echo other" in ctl("list").out
    assert ctl("--db", "aside.db", "verify").code == 0


def test_a_worker_ends_when_another_file_takes_the_place_of_its_queue(ctl: Ctl) -> None:
    other = other_queue(ctl)
    job = ctl.enqueue("until [ -e go ]; do sleep 0.01; done")
    with ctl.worker() as worker:
        ctl.wait_for(job, "claimed")
        shutil.copy(other, ctl.folder / "new.db")
        (ctl.folder / "new.db").rename(ctl.db)
        assert "belongs to another queue file" in ctl("list", code=6).err
        (ctl.folder / "go").touch()
        worker.says("was deleted or replaced while in use")
        assert worker.ends().code == 6
        assert not any("Traceback" in line for line in worker.err)


def test_files_moved_or_copied_together_with_their_wal_are_the_same_queue(ctl: Ctl) -> None:
    leave_a_wal(ctl.db)
    for name in ("moved", "copied"):
        (ctl.folder / name).mkdir()
    for suffix in ("", "-wal"):
        shutil.copy2(f"{ctl.db}{suffix}", ctl.folder / "copied" / f"queue.db{suffix}")
        Path(f"{ctl.db}{suffix}").rename(ctl.folder / "moved" / f"queue.db{suffix}")
    for name in ("moved", "copied"):
        assert ctl("--db", f"{name}/queue.db", "list").jobs == ["1"]


def test_a_backup_moved_into_place_without_a_wal_is_the_queue(ctl: Ctl) -> None:
    other = other_queue(ctl)
    ctl.enqueue("true")
    other.rename(ctl.db)
    assert "echo other" in ctl("list").out
    ctl.enqueue("true")
    assert ctl("verify").code == 0

"""A file system that has become read-only, as ext4 does after an error of the disk."""

from pathlib import Path

import pytest

from eventstore.sqlite.reader import SqliteReader
from eventstore.sqlite.unwritable import open_frozen, refuse_endless_retry
from queuectl import Queue
from tests.crashed import ENQUEUE_AND_DIE, leave_a_wal
from tests.ctl import Ctl
from tests.mounts import with_mounts
from tests.sampling import first_of

COMMANDS = "list status verify 'enqueue -- true' 'worker start' doctor 'backup x.db' 'cancel 1'"

AFTERWARDS = {
    "whole": "",
    "no -shm": "rm disk/queue.db-shm",
    "empty -shm": ": >disk/queue.db-shm",
    "torn -wal": "head -c 40000 /dev/urandom >disk/queue.db-wal",
    "no -wal": "rm disk/queue.db-wal disk/queue.db-shm",
}
"""The damage of the crash to the files next to the queue."""


@pytest.mark.parametrize("harm", first_of(AFTERWARDS))
def test_every_command_answers_at_once_on_a_read_only_mount(ctl: Ctl, harm: str) -> None:
    (ctl.folder / "disk").mkdir()
    ctl.env["QUEUECTL_DB"] = "disk/queue.db"
    done = with_mounts(
        ctl,
        f"""
        mount -t tmpfs -o size=50m,mode=0700 tmpfs disk
        "$@" enqueue -- true 2>&1
        "$1" -c '{ENQUEUE_AND_DIE}' disk/queue.db
        {AFTERWARDS[harm]}
        mount -o remount,bind,ro disk
        for words in {COMMANDS}; do
            echo "$ $words"; timeout 8 "$@" $words 2>&1; echo "exit $?"
        done""",
    )
    answers = dict(text.split("\n", 1) for text in done.stdout.split("$ ")[1:])
    assert "Traceback" not in done.stdout
    jobs = 1 if harm in ("torn -wal", "no -wal") else 2
    assert answers["list"].count("\tpending\t") == jobs
    assert f"pending: {jobs}\n" in answers["status"]
    assert answers["verify"].endswith("exit 0\n")
    assert answers["backup x.db"].endswith("exit 0\n")
    for words in ("enqueue -- true", "worker start", "cancel 1"):
        error, code = answers[words].splitlines()
        assert "is on a file system that is mounted read-only; if nobody did that" in error
        assert code == "exit 6"
    assert "then mount -o remount,rw" in answers["doctor"]
    assert answers["doctor"].endswith("exit 1\n")


def test_the_newest_records_are_read_from_the_wal_alone(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    Queue(path).close()
    leave_a_wal(path)
    Path(f"{path}-shm").unlink()
    connection = open_frozen(str(path))
    assert SqliteReader(connection).head().position == 2
    connection.close()
    assert {entry.name for entry in tmp_path.iterdir()} == {"queue.db", "queue.db-wal"}


def test_a_sound_wal_is_not_taken_for_a_torn_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check is for a -wal that SQLite would try to read repeatedly for 10 s."""
    monkeypatch.setattr("eventstore.sqlite.unwritable.why_unwritable", lambda _: "mount")
    path = tmp_path / "queue.db"
    Queue(path).close()
    leave_a_wal(path)
    refuse_endless_retry(str(path))
    wal = Path(f"{path}-wal")
    header = bytearray(wal.read_bytes())
    header[17] ^= 1
    wal.write_bytes(header)
    with pytest.raises(Exception, match="mounted read-only"):
        refuse_endless_retry(str(path))
    wal.unlink()
    refuse_endless_retry(str(path))

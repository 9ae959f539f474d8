"""What SQLite says, in this floor's words."""

from pathlib import Path

import apsw
import pytest

from eventstore.errors import Busy, Full, Incomplete, ReadOnly, StorageFailed
from eventstore.sqlite.failures import translated
from eventstore.sqlite.network import network_file_system


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (apsw.FullError("full"), Full),
        (apsw.BusyError("busy"), Busy),
        (apsw.LockedError("locked"), Busy),
        (apsw.ReadOnlyError("read-only"), ReadOnly),
        (apsw.PermissionsError("not you"), ReadOnly),
        (apsw.CorruptError("malformed"), StorageFailed),
        (apsw.NotADBError("not a database"), StorageFailed),
        (apsw.TooBigError("string or blob too big"), StorageFailed),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), StorageFailed),
        (apsw.SQLError("no such table: jobs"), Incomplete),
        (apsw.SQLError("table jobs has no column named released"), Incomplete),
        (apsw.SQLError("table counts has 9 columns but 10 values were supplied"), Incomplete),
        (apsw.IOError("disk I/O error"), StorageFailed),
        (apsw.NoMemError("no memory"), StorageFailed),
        (apsw.SQLError("near x: syntax error"), apsw.SQLError),
    ],
)
def test_failure_of_sqlite_is_told_in_our_words(
    error: Exception, meant: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(meant), translated(str(tmp_path)):
        raise error


def test_shared_memory_that_cannot_grow_is_a_full_disk(tmp_path: Path) -> None:
    error = apsw.IOError("disk I/O error")
    error.extendedresult = apsw.SQLITE_IOERR_SHMSIZE  # type: ignore[attr-defined]
    with pytest.raises(Full), translated(str(tmp_path)):
        raise error


def test_file_that_cannot_be_opened_is_read_only_where_it_may_not_be_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(StorageFailed), translated(str(tmp_path)):
        raise apsw.CantOpenError("unable to open")
    with pytest.raises(ReadOnly), translated(str(tmp_path / "gone")):
        raise apsw.CantOpenError("unable to open")


@pytest.mark.parametrize("table", ["36 25 0:41 / /mnt rw - nfs4 box:/q rw\n", "", None])
def test_network_file_system_is_told_by_the_mount_table(
    table: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    if table is not None:
        mounts.write_text(table)
    opens = open

    def opened(path: str, **how: str) -> object:
        assert path == "/proc/self/mountinfo"
        return opens(mounts, **how)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", opened)
    assert network_file_system("/mnt/queue.db", 41) == ("nfs4" if table else None)

"""Translating SQLite's errors, and recognizing shared file systems."""

import os
from pathlib import Path

import apsw
import pytest

from eventstore.errors import Busy, Full, Incomplete, ReadOnly, StorageFailed
from eventstore.shared_file_systems import network_file_system
from eventstore.sqlite.error_translation import translated


@pytest.mark.parametrize(
    ("error", "expected"),
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
def test_sqlite_error_is_translated(
    error: Exception, expected: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(expected), translated(str(tmp_path)):
        raise error


@pytest.mark.parametrize(("full", "expected"), [(True, Full), (False, StorageFailed)])
def test_shared_memory_that_cannot_grow_means_a_full_disk_only_if_the_disk_is_full(
    full: bool, expected: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.sqlite.error_translation.is_full", lambda path: full)
    error = apsw.IOError("disk I/O error")
    error.extendedresult = apsw.SQLITE_IOERR_SHMSIZE  # type: ignore[attr-defined]
    with pytest.raises(expected), translated(str(tmp_path)):
        raise error


def test_open_failure_reports_read_only_if_the_file_is_not_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tmp_path, tmp_path / "not made yet"):
        with pytest.raises(StorageFailed), translated(str(path)):
            raise apsw.CantOpenError("unable to open")
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everything
    with pytest.raises(ReadOnly), translated(str(tmp_path)):
        raise apsw.CantOpenError("unable to open")


@pytest.mark.parametrize("table", ["36 25 0:41 / /mnt rw - nfs4 box:/q rw\n", "", None])
def test_network_file_system_is_found_in_the_mount_table(
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


def machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mounts: str, known: str = "nodev tmpfs\n"
) -> None:
    """Replace the kernel's mount table, and its list of file systems (`known`)."""
    opens = open
    for name, text in (("mountinfo", mounts), ("filesystems", known)):
        (tmp_path / name).write_text(text)

    def opened(path: str, **how: str) -> object:
        return opens(tmp_path / os.path.basename(path), **how)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", opened)


@pytest.mark.parametrize(
    "kind",
    [
        *("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "lustre", "gpfs", "beegfs", "wekafs"),
        *("virtiofs", "vboxsf", "vmhgfs", "prl_fs", "orangefs", "afs", "glusterfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.mfs", "fuse.juicefs", "fuse.s3fs", "fuse.rclone"),
        *("fuse.gcsfuse", "fuse.vmhgfs-fuse", "fuse.ceph-fuse", "fuse.prl_fsd"),
    ],
)
def test_file_system_of_several_machines_is_recognized(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(monkeypatch, tmp_path, f"36 25 0:41 / /mnt rw - {kind} box:/q rw\n")
    assert network_file_system("/mnt/queue.db", 41) == kind


@pytest.mark.parametrize("kind", ["tmpfs", "btrfs", "zfs", "overlay", "fuse.gocryptfs", "fuseblk"])
def test_local_file_system_without_a_block_device_is_accepted(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(monkeypatch, tmp_path, f"36 25 0:41 / /mnt rw - {kind} none rw\n")
    assert network_file_system("/mnt/queue.db", 41) is None


@pytest.mark.parametrize("kind", ["ocfs2", "gfs2", "gpfs"])
def test_disk_shared_by_several_machines_is_recognized(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    device = os.makedev(253, 7)
    mounts = f"36 25 253:7 / /mnt rw - {kind} /dev/dm-7 rw\n"
    machine(monkeypatch, tmp_path, mounts, f"nodev\ttmpfs\n\text4\n\t{kind}\n")
    assert network_file_system("/mnt/queue.db", device) == kind
    local = mounts.replace(kind, "ext4")
    machine(monkeypatch, tmp_path, local, f"nodev\ttmpfs\n\text4\n\t{kind}\n")
    assert network_file_system("/mnt/queue.db", device) is None

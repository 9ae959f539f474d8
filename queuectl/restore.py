"""Putting a backup in place of a queue: verified, all or nothing, and the old queue is kept."""

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

from eventstore.errors import (
    DISK_FULL,
    ChainBroken,
    ForeignFile,
    Full,
    NoFolder,
    StorageFailed,
    Unusable,
)
from eventstore.file_identity import file_identity
from eventstore.sqlite.copying import Copy, check_copy
from eventstore.sqlite.creating import refuse_part
from eventstore.sqlite.lock import SqliteLock
from eventstore.sqlite.log import SqliteStore
from eventstore.sqlite.opening import inspect, look_inside
from eventstore.sqlite.renaming import NO_LINKS
from eventstore.sqlite.replacing import exclusive_use
from eventstore.sqlite.side_folder import SideFolder
from eventstore.sqlite.unwritable import read_only
from eventstore.store import Head, OnProgress

from .backup import IfExists
from .errors import Refusal
from .outputs.copies import CREATE, FOLDER, clear, copy_outputs, sync


class NoBackup(Unusable):
    """The file cannot be restored from; nothing was changed."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path} {what}; name another backup, nothing was changed")


class DamagedBackup(ChainBroken):
    """The log in the backup is not what was written; nothing was changed."""

    def __init__(self, path: str, position: int, what: str) -> None:
        super().__init__(position, what)
        words = f"{path} is damaged at position {position}: {what}"
        self.args = (f"{words}; restore another backup, nothing was changed",)


class WorkersRunning(Refusal):
    """A worker would go on with the queue that is replaced."""

    def __init__(self, ids: list[str]) -> None:
        which = f"worker {ids[0]} is" if len(ids) == 1 else f"workers {', '.join(ids)} are"
        super().__init__(f"{which} running on this queue; first run: queuectl worker stop --now")
        self.ids = ids


class WouldDiscard(Refusal):
    """The queue has something that is not in the backup."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path} {what}; --force restores anyway, and keeps it under another name")


class Restored(NamedTuple):
    """What was done, or with a dry run would be."""

    path: str
    head: Head
    kept_as: str | None
    """The new name of the queue that was replaced; None if there was none."""
    discarded: int
    """Events of the replaced queue that are not in the backup."""
    outputs: int
    """Attempts whose long output was copied."""


class _Target(NamedTuple):
    """The queue that is to be replaced."""

    exists: bool
    discarded: int


def restore(
    backup: str,
    path: str,
    expected: Head | None,
    if_exists: IfExists,
    *,
    dry_run: bool,
    on_progress: OnProgress = lambda _, __: None,
) -> Restored:
    """Replace the queue file at `path` by a copy of `backup` (both absolute).

    expected: a head that the backup must contain. if_exists: whether a queue with other events may
    be replaced. Raises NoBackup, DamagedBackup, HeadMissing, WorkersRunning, WouldDiscard, or
    Unusable; nothing was changed then.
    """
    _refuse_backup(backup, path)
    if not os.path.isdir(os.path.dirname(path)):
        raise NoFolder(os.path.dirname(path))
    refuse_part(path)
    copy = _checked(backup, backup, expected, on_progress)
    target = _target(path, copy, backup, if_exists)
    _refuse_workers(path)
    kept_as = _kept_name(path) if target.exists or _leftovers(path) else None
    if dry_run:
        return Restored(path, copy.head, kept_as, target.discarded, len(copy.in_files))
    building = f"{path}.{os.urandom(6).hex()}.new"
    try:
        _copy_file(backup, building)
        copy = _checked(building, backup, expected, on_progress)
        outputs = _copy_backup_outputs(backup, copy, building)
        with exclusive_use(path) if target.exists else nullcontext():
            _exchange(building, path, kept_as)
        return Restored(path, copy.head, kept_as, target.discarded, outputs)
    except OSError as error:
        raise _unusable(error, path) from None
    finally:
        clear(building)


def _refuse_backup(backup: str, path: str) -> None:
    try:
        status = os.stat(backup)
    except OSError as error:
        raise NoBackup(backup, f"cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(status.st_mode):
        what = "is a directory" if stat.S_ISDIR(status.st_mode) else "is not a regular file"
        raise NoBackup(backup, what)
    if file_identity(path) == (status.st_dev, status.st_ino):
        raise NoBackup(backup, "is the queue itself")
    for beside in (f"{backup}-wal", f"{backup}-journal"):
        if os.path.lexists(beside) and os.lstat(beside).st_size:
            raise NoBackup(
                backup,
                f"is in use as a queue, or was ({beside} has records that the file has not);"
                f" make a backup of it: queuectl --db {backup} backup FILE",
            )
    try:
        look_inside(backup)
    except ForeignFile as error:
        raise NoBackup(backup, error.what) from None


def _checked(file: str, backup: str, expected: Head | None, on_progress: OnProgress) -> Copy:
    """What stands in a file that has been verified. backup: its name for the error."""
    try:
        return check_copy(file, backup, expected, on_progress)
    except ChainBroken as error:
        raise DamagedBackup(backup, error.position, error.what) from None


def _target(path: str, copy: Copy, backup: str, if_exists: IfExists) -> _Target:
    """What is known of the queue to be replaced. Raises WouldDiscard, or ForeignFile for others."""
    if not os.path.lexists(path):
        return _Target(exists=False, discarded=0)
    inspect(path)
    try:
        store = SqliteStore(path, readonly=True)
    except StorageFailed:  # damaged: this is what backups are for
        return _Target(exists=True, discarded=0)
    try:
        with store.read() as tx:
            end = tx.head().position
            hashes: dict[int, bytes] = dict(tx.query(HASHES, (copy.head.position,)))
    except (StorageFailed, ChainBroken):
        return _Target(exists=True, discarded=0)
    finally:
        store.close()
    discarded, what = _difference(end, hashes, copy, backup)
    if what and if_exists == "refuse":
        raise WouldDiscard(path, what)
    return _Target(exists=True, discarded=discarded)


# By the primary key: two rows.
HASHES = "SELECT position, hash FROM events WHERE position IN (1, ?)"


def _difference(
    end: int, hashes: dict[int, bytes], copy: Copy, backup: str
) -> tuple[int, str | None]:
    """How many events of a log that ends at `end` are not in the copy, and this in words.

    hashes: of its first record, and of the one at the position of the copy's head, if it has them.
    """
    head = copy.head
    if end == 0:
        return 0, None
    if hashes.get(1) != copy.first_hash:
        return end, f"holds another queue than {backup}"
    if end > head.position:
        if bytes(hashes[head.position]).hex() != head.hash:
            return end, f"has another history than {backup}"
        after = end - head.position
        events = "1 event" if after == 1 else f"{after:,} events"
        return after, f"has {events} that {backup} does not have (it ends at {head.position})"
    return 0, None


def _refuse_workers(path: str) -> None:
    beside = SideFolder(path)
    try:
        folder = beside.existing("locks")
        if folder is None:
            return
        names = [name for name in os.listdir(folder) if name.startswith("worker-")]
        held = {
            name.removesuffix(".keeper") for name in names if SqliteLock(folder, name).is_held()
        }
    finally:
        beside.close()
    if held:
        raise WorkersRunning(sorted(name.removeprefix("worker-") for name in held))


def _kept_name(path: str) -> str:
    """A new name for the queue that is replaced, with the time, local, of its end."""
    name = f"{path}.replaced-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    kept = name
    while any(os.path.lexists(kept + suffix) for suffix in ("", "-wal", "-shm", ".d")):
        number += 1
        kept = f"{name}-{number}"
    return kept


def _leftovers(path: str) -> list[str]:
    """Names beside `path` that SQLite or we would take for a part of the restored queue."""
    suffixes = ("-wal", "-shm", "-journal", ".d")
    return [suffix for suffix in suffixes if os.path.lexists(path + suffix)]


def _copy_file(backup: str, building: str) -> None:
    descriptor = os.open(building, CREATE, 0o600)
    with open(backup, "rb") as read, open(descriptor, "wb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())


def _copy_backup_outputs(backup: str, copy: Copy, building: str) -> int:
    try:
        folder = os.open(f"{backup}.d/outputs", FOLDER)
    except FileNotFoundError:
        return 0
    try:
        return len(copy_outputs(folder, copy.in_files, f"{building}.d"))
    finally:
        os.close(folder)


def _exchange(building: str, path: str, kept_as: str | None) -> None:
    """Put the new queue in place of the old one; put the old one back if a step fails.

    The file has its name at every moment. Its side folder goes first, so that nothing which the new
    file names is missing.
    """
    with _undone() as undo:
        if kept_as is not None:
            for suffix in _leftovers(path):
                _move(path + suffix, kept_as + suffix, undo)
            if os.path.lexists(path):
                _link(path, kept_as, undo)
        if os.path.lexists(f"{building}.d"):
            _move(f"{building}.d", f"{path}.d", undo)
        os.rename(building, path)
    sync(os.path.dirname(path))


Undo = list[Callable[[], None]]


@contextmanager
def _undone() -> Iterator[Undo]:
    """Collects how to undo each step, and does so, last step first, if the block fails."""
    steps: Undo = []
    try:
        yield steps
    except BaseException:  # after Ctrl-C too the old queue must be back in its place
        for step in reversed(steps):
            step()
        raise


def _move(old: str, new: str, undo: Undo) -> None:
    os.rename(old, new)
    undo.append(lambda: os.rename(new, old))


def _link(old: str, new: str, undo: Undo) -> None:
    """A second name, so that the file keeps its own until the new one has it."""
    try:
        os.link(old, new)
        undo.append(lambda: os.unlink(new))
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _move(old, new, undo)  # no hard links on this file system


def _unusable(error: OSError, path: str) -> Unusable:
    if error.errno in DISK_FULL:
        return Full(path)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return read_only(path)
    return StorageFailed(path, str(error.strerror))

"""A backup of a queue in use: one moment of the file, verified, with the long outputs it names."""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from eventstore.errors import ForeignFile, Full, NoFolder, ReadOnly, StorageFailed
from eventstore.sqlite.copying import check_copy, copy_pages
from eventstore.sqlite.log import SqliteStore
from eventstore.store import Head

from .errors import Refusal
from .worker.output import folder_name

Existing = Literal["refuse", "replace"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system says that knows no hard links: FAT, some network shares."""


class BackupExists(Refusal):
    """There is a file of this name."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is there already; name another, or say --force to replace it")
        self.path = path


class Backup(NamedTuple):
    """What was written."""

    path: str
    head: Head
    size_bytes: int
    outputs: int
    """Attempts whose long output was copied into `<path>.d`."""


def backup(
    store: SqliteStore,
    target: str,
    existing: Existing = "refuse",
    report: Callable[[int, int], None] = lambda _, __: None,
) -> Backup:
    """Write the state of this moment to `target` (absolute), whole or not at all.

    It has its name only once it was verified and is on the disk. Workers go on meanwhile. Raises
    BackupExists, ChainBroken for a damaged log, or Unusable where it cannot be written.
    """
    _refuse(store, target, existing)
    building = f"{target}.{os.urandom(6).hex()}.new"
    _make(building, target)
    try:
        head = copy_pages(store.path, building, lambda done, pages: report(done, 2 * pages))
        _sync(building, os.O_RDONLY)
        named = check_copy(building, store.path, head, lambda done, of: report(of + done, 2 * of))
        copied = _copy_outputs(store, named, f"{building}.d")
        size = os.stat(building).st_size
        _put_in_place(building, target, existing)
        return Backup(target, head, size, copied)
    except OSError as error:
        raise _unusable(error, target) from None
    except Full:
        raise Full(target) from None
    finally:
        _clear(building)


def _refuse(store: SqliteStore, target: str, existing: Existing) -> None:
    """Before anything is written."""
    # SQLite would carry a stray WAL into a file put beside it.
    for stray in (f"{target}-wal", f"{target}-journal"):
        if os.path.lexists(stray) and os.lstat(stray).st_size:
            raise ForeignFile(target, f"has {os.path.basename(stray)} beside it; move that away")
    for path in (target, f"{target}.d"):
        if os.path.lexists(path) and existing == "refuse":
            raise BackupExists(path)
    if os.path.isdir(target):
        raise ForeignFile(target, "is a folder")
    if os.path.exists(target):
        found = os.stat(target)
        if (found.st_dev, found.st_ino) == store.identity:
            raise ForeignFile(target, "is the queue itself")
    _refuse_shared(f"{target}.d")


def _refuse_shared(folder: str) -> None:
    """A link planted there would lead what we write to where someone else wants it."""
    if not os.path.lexists(folder):
        return
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise ForeignFile(folder, "is not a folder")
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise ForeignFile(folder, "may be written by others (chmod go-w would mend that)")


def _make(building: str, target: str) -> None:
    try:
        os.close(os.open(building, _CREATE, 0o600))
    except (FileNotFoundError, NotADirectoryError):
        raise NoFolder(os.path.dirname(target)) from None
    except OSError as error:
        raise _unusable(error, target) from None


def _unusable(error: OSError, target: str) -> Full | ReadOnly | StorageFailed:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Full(target)
    if error.errno in (errno.EACCES, errno.EROFS):
        return ReadOnly(target)
    return StorageFailed(target, str(error.strerror))


def _copy_outputs(store: SqliteStore, named: Iterable[tuple[str, int]], into: str) -> int:
    """Copy the files of these attempts, which have ended: no byte of them changes any more.

    How many attempts had any: someone may have taken files away.
    """
    source = store.beside.existing("outputs")
    if source is None:
        return 0
    copied = 0
    for job_id, attempt in named:
        name = folder_name(job_id, attempt)
        try:
            folder = os.open(name, _FOLDER, dir_fd=source)
        except FileNotFoundError:
            continue
        try:
            for parent in (into, os.path.join(into, "outputs")):
                _own_folder(parent)
            _copy_folder(folder, os.path.join(into, "outputs", name))
        finally:
            os.close(folder)
        copied += 1
    return copied


def _own_folder(path: str) -> None:
    if not os.path.lexists(path):
        os.mkdir(path, 0o700)


def _copy_folder(source: int, into: str) -> None:
    os.mkdir(into, 0o700)
    for name in os.listdir(source):
        with (
            open(os.open(name, _READ, dir_fd=source), "rb") as read,
            open(os.open(os.path.join(into, name), _CREATE, 0o600), "wb") as written,
        ):
            shutil.copyfileobj(read, written)
            written.flush()
            os.fsync(written.fileno())
    _sync(into, _FOLDER)


def _put_in_place(building: str, target: str, existing: Existing) -> None:
    """The outputs first: a file of this name has all that it names beside it."""
    _put_outputs(f"{building}.d", f"{target}.d")
    if existing == "replace":
        os.rename(building, target)
    else:
        try:
            os.link(building, target)
        except FileExistsError:
            raise BackupExists(target) from None
        except OSError as error:
            if error.errno not in _NO_LINKS or os.path.lexists(target):
                raise
            os.rename(building, target)
    _sync(os.path.dirname(target), _FOLDER)


def _put_outputs(building: str, target: str) -> None:
    """In place of those of an older backup; what else stands in that folder stays."""
    old = os.path.join(target, "outputs")
    if os.path.lexists(old):
        _own_folder(building)
        os.rename(old, os.path.join(building, "old"))
    new = os.path.join(building, "outputs")
    if not os.path.lexists(new):
        return
    for folder in (new, building):
        _sync(folder, _FOLDER)
    if os.path.lexists(target):
        os.rename(new, old)
        _sync(target, _FOLDER)
    else:
        os.rename(building, target)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear(building: str) -> None:
    for path in (building, f"{building}-journal"):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    shutil.rmtree(f"{building}.d", ignore_errors=True)

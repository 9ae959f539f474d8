"""Creating a queue file: it is built under a temporary name, and renamed when it is complete."""

import os
from collections.abc import Iterable

import apsw

from ..errors import DISK_FULL, ForeignFile, Full, NoFolder, StorageFailed
from ..parts import refuse_part
from ..renaming import NO_LINKS, rename_new
from ..shared_file_systems import network_file_system
from ..syncing import sync
from ..write_access import read_only
from . import file_name
from .error_translation import translated
from .opening import no_access, refuse_foreign_parts, refuse_not_utf8
from .schema import APPLICATION_ID, FORMAT, SCHEMA


def create(path: str, extra: Iterable[str] = ()) -> None:
    """Create the queue file at `path`, completely or not at all.

    If another process creates it at the same time, its file is kept. extra: further statements for
    the schema (those of the read models). Raises ForeignFile, NoFolder, NoAccess, Full, ReadOnly or
    StorageFailed.
    """
    refuse_not_utf8(path)
    folder = os.path.dirname(path)
    try:
        refuse_foreign_parts(path)
    except PermissionError:
        raise no_access(path) from None
    refuse_part(path)
    _refuse_leftovers(path)
    building = f"{path}.{os.urandom(6).hex()}.new"
    try:
        os.close(os.open(building, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    except (FileNotFoundError, NotADirectoryError):
        raise NoFolder(folder) from None
    except OSError as error:
        raise Full(path) if error.errno in DISK_FULL else read_only(path) from None
    try:
        _refuse_network(path, building)
        with translated(path):
            _build(building, path, extra)
        _put_in_place(building, path, folder)
    finally:
        for leftover in (building, f"{building}-wal", f"{building}-shm", f"{building}-journal"):
            _remove(leftover)


def fill(path: str) -> None:
    """Create the tables of the log in the empty file at `path`, which no other process uses.

    Raises Full or StorageFailed.
    """
    with translated(path):
        _build(path, path, ())


def _refuse_leftovers(path: str) -> None:
    """Raise ForeignFile if a -wal exists: SQLite would copy its records into the new file."""
    for leftover in (f"{path}-wal", f"{path}-journal"):
        if _size(leftover) and not os.path.exists(path):  # another process may just have created it
            raise ForeignFile(
                path,
                f"is missing, but its {os.path.basename(leftover)} exists; put the file back,"
                f" restore a backup (queuectl restore BACKUP), or move {leftover} away",
            )


def _refuse_network(path: str, building: str) -> None:
    if (kind := network_file_system(building, os.stat(building).st_dev)) is not None:
        raise ForeignFile(
            path,
            f"would be on {kind}, which several machines can share: SQLite's locks do not work"
            " there (QUEUECTL_ALLOW_NETWORK=1 overrides)",
        )


def _build(building: str, path: str, extra: Iterable[str]) -> None:
    connection = apsw.Connection(building, apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.execute("BEGIN")
        for statement in (*SCHEMA, *extra):
            connection.execute(statement)
        file_name.record_use(connection, path, building)
        connection.execute(f"PRAGMA user_version={FORMAT}")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("COMMIT")  # after an error no rollback is needed: the file is deleted
        # WAL comes last: after an earlier crash there is one file, with a name that nobody opens.
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
    finally:
        connection.close()


def _put_in_place(building: str, path: str, folder: str) -> None:
    """Give the complete file its name, unless another process has created the file already."""
    sync(building, os.O_RDONLY)
    try:
        os.link(building, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise StorageFailed(path, f"it could not be created ({error.strerror})") from None
        if not rename_new(building, path):
            return
    sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0

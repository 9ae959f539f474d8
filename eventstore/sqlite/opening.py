"""What makes a file a queue file, and what is refused untouched."""

import os
import stat
from collections.abc import Iterable
from functools import partial

import apsw

from ..errors import (
    DISK_FULL,
    ForeignFile,
    Full,
    Missing,
    NewerFile,
    NoAccess,
    NoFolder,
    ReadOnly,
    StorageFailed,
    Unusable,
)
from ..parts import whole_of
from . import names
from .failures import translated
from .network import network_file_system
from .patience import Patience
from .renaming import NO_LINKS, rename_new
from .schema import APPLICATION_ID, FORMAT, SCHEMA
from .unwritable import open_frozen, read_only, refuse_endless_retry, uri, why_unwritable
from .wal_owner import refuse_other_wal


def connect(
    path: str, *, readonly: bool = False, patience: Patience | None = None
) -> apsw.Connection:
    """A connection to the queue file at `path` (absolute), set up as every one of ours.

    patience: how to wait for locks.

    Raises Missing, ForeignFile, NewerFile, ReadOnly or StorageFailed; what it refuses it leaves
    byte for byte as it was.
    """
    inspect(path)
    with translated(path):
        patience = patience or Patience(path)
        connection = (_open_readonly if readonly else _open)(path, patience)
        try:
            _refuse_newer(path, connection)
            names.refuse_left_behind(path, names.last_use(connection))
        except Unusable:
            connection.close()
            raise
        return connection


def inspect(path: str) -> None:
    """Raise the refusal for a file that is no queue of ours, without touching it."""
    _refuse_not_utf8(path)
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        folder = os.path.dirname(path)
        raise Missing(path, None if os.path.isdir(folder) else folder) from None
    except PermissionError:
        raise _no_access(path) from None
    except OSError as error:
        raise ForeignFile(path, f"cannot be read ({error.strerror})") from None
    if problem := _problem(found):
        raise ForeignFile(path, problem)
    if (kind := network_file_system(path, found.st_dev)) is not None:
        raise ForeignFile(
            path,
            f"is on {kind}, which several machines can share: SQLite's locks do not work there"
            " (QUEUECTL_ALLOW_NETWORK=1 overrides)",
        )
    _refuse_others_beside(path)
    look_inside(path)
    refuse_other_wal(path)
    names.refuse_second_name(path, found, partial(_recorded_in_file, path))


def _recorded_in_file(path: str) -> names.LastUse | None:
    """What the file has recorded, read without SQLite's locks and files beside it."""
    try:
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(uri(path, "immutable=1"), flags)
        try:
            return names.last_use(connection)
        finally:
            connection.close()
    except apsw.Error:
        return None


# Source: https://www.sqlite.org/fileformat.html: the magic at 0, the application id at 68.
_HEADER_BYTES = 100
_SMALLEST = 512
"""SQLite's smallest page."""


def _no_access(path: str) -> NoAccess:
    """The error that names the first folder which cannot be entered."""
    folder = os.path.dirname(path)
    while not os.access(parent := os.path.dirname(folder), os.X_OK):
        folder = parent
    return NoAccess(path, folder, os.stat(folder).st_uid, os.geteuid())


def _refuse_not_utf8(path: str) -> None:
    """The path is recorded, and given to jobs as text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ForeignFile(repr(path), "is a path that is not UTF-8") from None


def _problem(found: os.stat_result) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return "is a directory" if stat.S_ISDIR(found.st_mode) else "is not a regular file"
    if found.st_size == 0:
        return "is empty, not a queue"
    if found.st_size < _SMALLEST:
        return "is too short to be a queue"
    if found.st_uid != os.geteuid():
        return f"belongs to user {found.st_uid}, not to you"
    if found.st_mode & 0o022:
        return "may be written by others (chmod go-w fixes that)"
    return None


def _refuse_others_beside(path: str) -> None:
    """Into an empty file that a stranger has put there SQLite would write what is ours.

    Into one that he has only linked there, too: another file of ours would be lost.
    """
    for beside in (f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        try:
            found = os.lstat(beside)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if found.st_uid != os.geteuid():
            raise ForeignFile(beside, f"belongs to user {found.st_uid}, not to you")
        if found.st_nlink > 1:
            raise ForeignFile(
                beside, "has a second name (hard link); keep one of them, and remove this one"
            )


def look_inside(path: str) -> None:
    """Raise ForeignFile where a file's header is not a queue's.

    The header alone, which no checkpoint changes: the rest may be half of what it will be.

    Through SQLite's own file layer, since closing a file of ours would drop the locks that other
    connections of this process hold on it.
    """
    try:
        file = apsw.VFSFile("", path, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
    except apsw.CantOpenError:
        raise ForeignFile(path, "cannot be read") from None
    try:
        header = file.xRead(_HEADER_BYTES, 0)
    finally:
        file.xClose()
    if header[:16] != b"SQLite format 3\0":
        raise ForeignFile(path, "is not a queue")
    if int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise ForeignFile(path, "is a database of another program")


def _refuse_newer(path: str, connection: apsw.Connection) -> None:
    found = connection.execute("PRAGMA user_version").get
    if found > FORMAT:
        raise NewerFile(path, found, FORMAT)


def _open(path: str, patience: Patience) -> apsw.Connection:
    refuse_endless_retry(path)
    connection = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE, statementcachesize=200)
    _set_up(connection, patience)
    # What `enqueue` acknowledged survives the power going. On macOS fsync alone is not enough.
    connection.execute("PRAGMA synchronous=FULL; PRAGMA fullfsync=ON")
    connection.execute("PRAGMA checkpoint_fullfsync=ON")
    # After a checkpoint a WAL that a burst made large is cut back.
    connection.execute("PRAGMA journal_size_limit=67108864")
    return connection


def _open_readonly(path: str, patience: Patience) -> apsw.Connection:
    """As everyone opens it; if that needs files that cannot be made here, without them."""
    try:
        refuse_endless_retry(path)
        connection = apsw.Connection(path, apsw.SQLITE_OPEN_READONLY, statementcachesize=200)
        _set_up(connection, patience)
        connection.execute("SELECT 1 FROM events LIMIT 1").fetchall()
        return connection
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.ProtocolError, ReadOnly):
        if why_unwritable(path) is None:
            raise
        connection = open_frozen(path)
        _set_up(connection, patience)
        return connection


def _set_up(connection: apsw.Connection, patience: Patience) -> None:
    connection.set_busy_handler(patience)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.execute("PRAGMA trusted_schema=OFF; PRAGMA mmap_size=0")


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def create(path: str, extra: Iterable[str] = ()) -> None:
    """Make the queue file at `path`, whole or not at all; if another did meanwhile, theirs stays.

    extra: further statements for the same schema (the read models').
    """
    _refuse_not_utf8(path)
    folder = os.path.dirname(path)
    try:
        _refuse_others_beside(path)
    except PermissionError:
        raise _no_access(path) from None
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


def refuse_part(path: str) -> None:
    """Raise ForeignFile if a new file at `path` would be taken for a part of another one."""
    if not os.path.lexists(path) and (whole := whole_of(path)) is not None:
        raise ForeignFile(path, f"would be taken for a part of {os.path.basename(whole)}")


def _refuse_leftovers(path: str) -> None:
    """SQLite would carry what a WAL of another file holds into the new one."""
    for leftover in (f"{path}-wal", f"{path}-journal"):
        if _size(leftover) and not os.path.exists(path):  # nobody made one meanwhile
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
        names.record_use(connection, path, building)
        connection.execute(f"PRAGMA user_version={FORMAT}")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("COMMIT")  # what fails before needs no rollback: the file goes
        # Last: until here a crash leaves an ordinary file under a name that nobody opens.
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
    finally:
        connection.close()


def _put_in_place(building: str, path: str, folder: str) -> None:
    _sync(building, os.O_RDONLY)
    try:
        os.link(building, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise StorageFailed(path, f"it could not be created ({error.strerror})") from None
        if not rename_new(building, path):
            return
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass

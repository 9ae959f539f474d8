"""Opening queue files: other files are recognized and refused without changing them."""

import os
import stat
from functools import partial

import apsw

from ..errors import ForeignFile, Gone, Missing, NewerFile, NoAccess, ReadOnly, StoreError, Unusable
from ..file_identity import file_identity
from ..shared_file_systems import network_file_system
from ..write_access import why_unwritable
from . import file_name
from .busy_wait import Patience
from .error_translation import translated
from .schema import APPLICATION_ID, FORMAT
from .unwritable import open_frozen, refuse_endless_retry, uri
from .wal_owner import refuse_other_wal

OPEN_TRIES = 10
"""How often to open the file again if it is replaced at the same time."""


def connect(
    path: str, *, readonly: bool = False, patience: Patience | None = None
) -> apsw.Connection:
    """Return a connection to the queue file at `path` (absolute).

    patience: how to wait for locks. Raises Missing, ForeignFile, NewerFile, ReadOnly or
    StorageFailed; a file that is refused is not changed.
    """
    inspect(path)
    with translated(path):
        patience = patience or Patience(path)
        connection = (_open_readonly if readonly else _open)(path, patience)
        try:
            _refuse_newer(path, connection)
            file_name.refuse_left_behind(path, file_name.last_use(connection))
        except Unusable:
            connection.close()
            raise
        return connection


def connect_to_file(
    path: str, readonly: bool, patience: Patience
) -> tuple[apsw.Connection, tuple[int, int]]:
    """Return a connection, and the device and inode of the file that it has open.

    If the file is replaced at the same time, it is opened again: a connection to the old file with
    the identity of the new one would let a writer damage both.
    """
    for _ in range(OPEN_TRIES):
        before = file_identity(path)
        try:
            connection = connect(path, readonly=readonly, patience=patience)
        except StoreError:
            if file_identity(path) == before:
                raise
            continue
        if before is not None and file_identity(path) == before:
            return connection, before
        connection.close()
    raise Gone(path)


def inspect(path: str) -> None:
    """Raise Missing, NoAccess, ForeignFile, OtherWal or SecondName if `path` cannot be used.

    The file is not changed.
    """
    refuse_not_utf8(path)
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        folder = os.path.dirname(path)
        raise Missing(path, None if os.path.isdir(folder) else folder) from None
    except PermissionError:
        raise no_access(path) from None
    except OSError as error:
        raise ForeignFile(path, f"cannot be read ({error.strerror})") from None
    if problem := _problem(status):
        raise ForeignFile(path, problem)
    if (kind := network_file_system(path, status.st_dev)) is not None:
        raise ForeignFile(
            path,
            f"is on {kind}, which several machines can share: SQLite's locks do not work there"
            " (QUEUECTL_ALLOW_NETWORK=1 overrides)",
        )
    refuse_foreign_parts(path)
    look_inside(path)
    refuse_other_wal(path)
    file_name.refuse_second_name(path, status, partial(_recorded_in_file, path))


def _recorded_in_file(path: str) -> file_name.LastUse | None:
    """Return the recorded use of the file; read it without locks and without creating files."""
    try:
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(uri(path, "immutable=1"), flags)
        try:
            return file_name.last_use(connection)
        finally:
            connection.close()
    except apsw.Error:
        return None


# Source: https://www.sqlite.org/fileformat.html: the magic number is at byte 0, the application id
# at byte 68.
_HEADER_BYTES = 100
_SMALLEST = 512
"""SQLite's smallest page."""


def no_access(path: str) -> NoAccess:
    """Return the error that names the first folder that cannot be entered."""
    folder = os.path.dirname(path)
    while not os.access(parent := os.path.dirname(folder), os.X_OK):
        folder = parent
    return NoAccess(path, folder, os.stat(folder).st_uid, os.geteuid())


def refuse_not_utf8(path: str) -> None:
    """Raise ForeignFile if the path is not UTF-8: it is recorded, and passed to jobs, as text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ForeignFile(repr(path), "is a path that is not UTF-8") from None


def _problem(status: os.stat_result) -> str | None:
    """Return why a file with this status is refused; None if it may be a queue."""
    if not stat.S_ISREG(status.st_mode):
        return "is a directory" if stat.S_ISDIR(status.st_mode) else "is not a regular file"
    if status.st_size == 0:
        return "is empty, not a queue"
    if status.st_size < _SMALLEST:
        return "is too short to be a queue"
    if status.st_uid != os.geteuid():
        return f"belongs to user {status.st_uid}, not to you"
    if status.st_mode & 0o022:
        return "may be written by others (chmod go-w fixes that)"
    return None


def refuse_foreign_parts(path: str) -> None:
    """Raise ForeignFile for a -wal, -shm or -journal of another user, or with a second hard link.

    SQLite would write this user's data into the other user's file, or overwrite the linked file.
    """
    for part in (f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        try:
            status = os.lstat(part)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if status.st_uid != os.geteuid():
            raise ForeignFile(part, f"belongs to user {status.st_uid}, not to you")
        if status.st_nlink > 1:
            raise ForeignFile(
                part, "has a second name (hard link); keep one of them, and remove this one"
            )


def look_inside(path: str) -> None:
    """Raise ForeignFile if the header of the file is not that of a queue.

    Only the header is read: a checkpoint may be writing the other pages, but never the header's
    fields. The file is opened by SQLite's own file layer, because closing an ordinary descriptor
    would drop the locks that other connections of this process hold on the file.
    Raises StorageFailed if the disk cannot read it.
    """
    with translated(path):
        header = _header(path)
    if header[:16] != b"SQLite format 3\0":
        raise ForeignFile(path, "is not a queue")
    if int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise ForeignFile(path, "is a database of another program")


def _header(path: str) -> bytes:
    try:
        file = apsw.VFSFile("", path, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
    except apsw.CantOpenError:
        raise ForeignFile(path, "cannot be read") from None
    try:
        return file.xRead(_HEADER_BYTES, 0)
    finally:
        file.xClose()


def _refuse_newer(path: str, connection: apsw.Connection) -> None:
    format_ = connection.execute("PRAGMA user_version").get
    if format_ > FORMAT:
        raise NewerFile(path, format_, FORMAT)


def _open(path: str, patience: Patience) -> apsw.Connection:
    refuse_endless_retry(path)
    connection = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE, statementcachesize=200)
    _set_up(connection, patience)
    # An acknowledged `enqueue` survives a power failure. On macOS fsync alone is not enough.
    connection.execute("PRAGMA synchronous=FULL; PRAGMA fullfsync=ON")
    connection.execute("PRAGMA checkpoint_fullfsync=ON")
    # After a checkpoint, a WAL larger than this is truncated.
    connection.execute("PRAGMA journal_size_limit=67108864")
    return connection


def _open_readonly(path: str, patience: Patience) -> apsw.Connection:
    """Open the file normally; if a -shm cannot be created here, open it without one."""
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

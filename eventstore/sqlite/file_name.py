"""One name per queue file: with a second name SQLite would use a second -wal and lose records.

SQLite finds the -wal of a database by its path, so a file with two paths would have two WALs. The
file records the path by which it is used, and this program refuses to open it by a second path.
"""

import os
import re
import stat
from collections.abc import Callable
from typing import NamedTuple

import apsw

from ..errors import LeftBehind, SecondName
from ..file_identity import file_identity
from ..parts import temporary_names
from .schema import LAST_USE

_PATH_ONLY = getattr(os, "O_PATH", 0) | os.O_CLOEXEC

LAST_USE_RECORDED = "SELECT path, inode FROM last_use"


class LastUse(NamedTuple):
    """The path by which a file was last written to, and its inode at that time."""

    path: str
    inode: str
    """The inode number as decimal text. If the file has another inode now, it is a copy."""


def refuse_second_name(
    path: str, status: os.stat_result, read_recorded: Callable[[], LastUse | None]
) -> None:
    """Raise SecondName if the file has more than one name and `path` is not the recorded one.

    status: of the file. read_recorded: reads the `LastUse` from the file; it is called only if the
    file has other hard links.
    """
    if _has_other_links(path, status):
        recorded = read_recorded()
        if recorded is None or not _is_same_entry(path, recorded.path):
            raise SecondName.linked(path, _recorded_name(status, recorded))
    if _is_mount(path):
        raise SecondName.mounted(path, _mounted_from(path))


def refuse_left_behind(path: str, recorded: LastUse | None) -> None:
    """Raise LeftBehind if the file was moved to `path`, but its -wal was left at the old path.

    The -wal has the newest records.
    """
    if recorded is None or recorded.path == path or file_identity(recorded.path) is not None:
        return
    if _size(f"{recorded.path}-wal") and recorded.inode == _inode(path):
        raise LeftBehind(path, recorded.path)


def last_use(connection: apsw.Connection) -> LastUse | None:
    """Return the last use recorded in the file; None if there is none, or it cannot be read."""
    try:
        rows = connection.execute(LAST_USE_RECORDED).fetchall()
    except (apsw.SQLError, UnicodeDecodeError):  # an older file, or damaged text
        return None
    return LastUse(*map(str, rows[0])) if rows else None


def record_use(connection: apsw.Connection, path: str, file: str) -> bool:
    """Record `path` as the name of the file, in the caller's transaction.

    file: the path that the file has now, a temporary one while it is created. Return False if the
    name was recorded already, perhaps by another path to the same folder.
    """
    use, recorded = LastUse(path, _inode(file)), last_use(connection)
    if recorded is not None:
        if recorded.inode == use.inode and _is_same_entry(path, recorded.path):
            return False
    else:
        connection.execute(LAST_USE.replace("TABLE", "TABLE IF NOT EXISTS"))
    connection.execute("DELETE FROM last_use")
    connection.execute("INSERT INTO last_use VALUES (?, ?)", use)
    return True


def _has_other_links(path: str, status: os.stat_result) -> bool:
    """Return True if the file has other hard links. Its temporary names do not count."""
    return status.st_nlink > 1 and status.st_nlink > 1 + len(temporary_names(path))


def _is_same_entry(path: str, recorded: str) -> bool:
    """Return True if both paths lead to the same directory entry, such as through a bind mount."""
    if path == recorded:
        return True
    mine, other = file_identity(os.path.dirname(path)), file_identity(os.path.dirname(recorded))
    return os.path.basename(path) == os.path.basename(recorded) and mine == other is not None


def _recorded_name(status: os.stat_result, recorded: LastUse | None) -> str | None:
    """Return the recorded name, to suggest it in the error; None if it leads to another file."""
    if recorded is None or file_identity(recorded.path) != (status.st_dev, status.st_ino):
        return None
    return recorded.path


def _is_mount(path: str) -> bool:
    """Return True if the file itself is a mount point, not only a folder above it. Linux only.

    The file is opened by O_PATH: closing an ordinary descriptor would drop SQLite's locks on it.
    """
    try:
        folder = os.open(os.path.dirname(path), _PATH_ONLY | os.O_DIRECTORY)
        try:
            file = os.open(os.path.basename(path), _PATH_ONLY, dir_fd=folder)
            try:
                return _mount_id(folder) != _mount_id(file)
            finally:
                os.close(file)
        finally:
            os.close(folder)
    except OSError:  # no /proc, or the file was just deleted: opening it will report that
        return False


def _mount_id(descriptor: int) -> bytes:
    """Return the id of the mount that an open file is on. Source: proc_pid_fdinfo(5)."""
    info = os.open(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(info, 1024).partition(b"mnt_id:")[2].split(b"\n", 1)[0].strip()
    finally:
        os.close(info)


def _mounted_from(path: str) -> str | None:
    """Return the path of a mounted file within its own file system; None if it is not known.

    Source: proc_pid_mountinfo(5): the fourth field is the root, the fifth the mount point.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
            for line in table:
                root, point = line.split(" ")[3:5]
                if _unescaped(point) == path:
                    return _unescaped(root)
    except OSError:
        return None
    return None


def _unescaped(field: str) -> str:
    """Return the text with its octal escapes (space, tab, line feed, backslash) decoded."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _inode(path: str) -> str:
    """Return the inode number as decimal text."""
    return str(os.stat(path).st_ino)


def _size(path: str) -> int:
    """Return the size in bytes; 0 if the file is missing or not a regular file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0

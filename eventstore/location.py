"""From what the user names to an open store."""

import os
import stat
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from .errors import FolderNotMade, ForeignFile, NoAccess, NoHome, NotYourHome, NoWorkingDirectory

if TYPE_CHECKING:
    from .sqlite.log import SqliteStore


class Location(NamedTuple):
    """Which queue file, and why that one."""

    path: str
    """Absolute, links resolved."""
    why: str
    """`--db`, `QUEUECTL_DB`, `working directory` or `your own`."""

    @property
    def reason(self) -> str:
        """Why it is this file, for people."""
        return _REASONS.get(self.why, self.why)

    @property
    def named(self) -> bool:
        """Whether the user named it on the command line: then it must be there to be read."""
        return self.why == "--db"


_REASONS = {
    "--db": "named by --db",
    "QUEUECTL_DB": "named by QUEUECTL_DB",
    "working directory": "found in the working directory",
    "your own": "default location",
}


def locate(named: str | None = None) -> Location:
    """The queue file: `named`, else `QUEUECTL_DB`, else `./queue.db` if there, else your own.

    Raises ForeignFile for a link that another user has put there.
    """
    if named is not None:
        if not named:
            raise ForeignFile("''", "is not a path")
        return Location(_followed(named), "--db")
    if from_environment := os.environ.get("QUEUECTL_DB"):
        return Location(_followed(from_environment), "QUEUECTL_DB")
    if os.path.lexists("queue.db"):
        return Location(_followed("queue.db"), "working directory")
    return Location(_followed(_own()), "your own")


def _followed(path: str) -> str:
    """Where it leads. In a folder such as /tmp a stranger's link would choose what we make."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):  # who opens it says what is wrong with it
        return _resolved(path)
    if stat.S_ISLNK(found.st_mode) and found.st_uid not in (0, os.geteuid()):
        raise ForeignFile(path, f"is a link of user {found.st_uid}")
    for _ in range(3):  # someone may be creating the file just now
        resolved = _resolved(path)
        if identity(resolved) == identity(path):
            return resolved
    # Links in /proc lead elsewhere than their text says, such as into another container.
    raise ForeignFile(path, "is reached through a link in /proc and has no path of its own here")


def _resolved(path: str) -> str:
    try:
        return os.path.realpath(path)
    except FileNotFoundError:  # only a relative path needs the working directory
        raise NoWorkingDirectory() from None


def _own() -> str:
    """Source: XDG Base Directory Specification 0.8; a relative XDG_STATE_HOME is to be ignored."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            raise NoHome(os.geteuid())
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "queuectl", "queue.db")


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode: which file it is, by whatever name; None where it cannot be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_store(
    path: str,
    *,
    create: bool = False,
    readonly: bool = False,
    schema: Iterable[str] = (),
    on_wait: Callable[[str], None] | None = None,
) -> "SqliteStore":
    """The store at `path`. With `create`, made where missing (its own folder too, 0700).

    schema: statements for what stands beside the log in a new file. on_wait: as in SqliteStore.
    Raises Missing, ForeignFile,
    NewerFile, ReadOnly or StorageFailed.
    """
    from .sqlite.log import SqliteStore

    if create and not os.path.lexists(path):
        from .sqlite import creating  # once in the life of a queue

        _make_own_folder(os.path.dirname(path))
        creating.create(path, schema)
    return SqliteStore(path, readonly=readonly, on_wait=on_wait)


def _make_own_folder(folder: str) -> None:
    """Only the user's own state folder is made; a mistyped --db must not make others.

    Raises NotYourHome, or FolderNotMade.
    """
    try:
        own = os.path.dirname(os.path.realpath(_own()))
    except NoHome:
        return
    if folder == own:
        _make_folders(folder)


def _make_folders(folder: str) -> None:
    """Each of them the user's alone, as the specification says; `makedirs` minds the last one."""
    if os.path.isdir(folder):
        owner = os.stat(folder).st_uid
        if os.geteuid() == 0 and owner != 0:  # sudo keeps HOME: its user could not use what we make
            raise NotYourHome(folder, owner)
        return
    _make_folders(os.path.dirname(folder))
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except PermissionError:
        parent = os.path.dirname(folder)
        raise NoAccess(folder, parent, os.stat(parent).st_uid, os.geteuid()) from None
    except OSError as error:
        raise FolderNotMade(folder, str(error.strerror)) from None

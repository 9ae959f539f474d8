"""Finding the queue that the user means, and opening it."""

import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from .dialect import SQLITE
from .errors import (
    FolderNotMade,
    ForeignFile,
    Missing,
    NoAccess,
    NoHome,
    NotYourHome,
    NoWorkingDirectory,
    OptionAsPath,
)
from .file_identity import file_identity
from .store import Schema, Store


class Location(NamedTuple):
    """The place of a queue, and why it was chosen. Only this module interprets the place."""

    name: str
    """For people, and for `open_store`: the absolute path of the queue file, links resolved."""
    why: str
    """`--db`, `QUEUECTL_DB`, `working directory` or `your own`."""

    @property
    def reason(self) -> str:
        """Why this place was chosen, in words for the user."""
        return _REASONS.get(self.why, self.why)

    @property
    def file(self) -> str:
        """The path of the queue file, for backup, restore and `doctor`."""
        return self.name

    @property
    def named(self) -> bool:
        """True if the place was named by `--db`: then the queue must exist, even for reading."""
        return self.why == "--db"


_REASONS = {
    "--db": "named by --db",
    "QUEUECTL_DB": "named by QUEUECTL_DB",
    "working directory": "found in the working directory",
    "your own": "default location",
}


def locate(named: str | None = None) -> Location:
    """Return the location of the queue file.

    The first of these that is given or exists: `named`, `QUEUECTL_DB`, `./queue.db`, the user's own
    queue. Raises OptionAsPath for a path that begins with `-`, and ForeignFile for a symbolic link
    that belongs to another user.
    """
    if named is not None:
        if not named:
            raise ForeignFile("''", "is not a path")
        return Location(_followed(_no_option(named)), "--db")
    if from_environment := os.environ.get("QUEUECTL_DB"):
        return Location(_followed(_no_option(from_environment)), "QUEUECTL_DB")
    if os.path.lexists("queue.db"):
        return Location(_followed("queue.db"), "working directory")
    return Location(_followed(_own()), "your own")


def exists(location: Location) -> bool:
    """Return True if there is a queue, or any other file, at this place."""
    return os.path.lexists(location.name)


def missing(location: Location) -> Missing:
    """Return the error for a place without a queue."""
    folder = os.path.dirname(location.name)
    return Missing(location.name, None if os.path.isdir(folder) else folder)


def leads_to(name: str, location: Location) -> bool:
    """Return True if the place called `name` is this location, perhaps by another path."""
    return file_identity(name) == file_identity(location.name)


def _no_option(path: str) -> str:
    """Return the path. Raises OptionAsPath."""
    if path.startswith("-"):
        raise OptionAsPath(path)
    return path


def _followed(path: str) -> str:
    """Return the path with links resolved.

    Links of other users are refused: in a folder such as /tmp, another user could create a link and
    so choose which file this program creates. Raises ForeignFile.
    """
    try:
        status = os.lstat(path)
    except (OSError, ValueError):  # opening the file will report the error
        return _resolved(path)
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid()):
        raise ForeignFile(path, f"is a link of user {status.st_uid}")
    for _ in range(3):  # another process may be creating the file at this moment
        resolved = _resolved(path)
        if file_identity(resolved) == file_identity(path):
            return resolved
    # Links in /proc may lead to another file than their text says, such as in another container.
    raise ForeignFile(path, "is reached through a link in /proc and has no path of its own here")


def _resolved(path: str) -> str:
    try:
        return os.path.realpath(path)
    except FileNotFoundError:  # only a relative path needs the working directory
        raise NoWorkingDirectory() from None


def _own() -> str:
    """Return the path of the user's own queue.

    Source: XDG Base Directory Specification 0.8; a relative XDG_STATE_HOME must be ignored.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            raise NoHome(os.geteuid())
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "queuectl", "queue.db")


def open_store(
    name: str,
    *,
    create: bool = False,
    readonly: bool = False,
    schema: Schema = lambda _: (),
    on_wait: Callable[[str], None] | None = None,
    wall_us: Callable[[], int] | None = None,
) -> Store:
    """Open the queue at `name`. With `create`, create it if it is missing, and the default folder.

    schema: returns the statements for the tables next to the log in a new queue. on_wait: called
    once, with a message, if another process holds the write lock for longer than a second. wall_us:
    the clock for records, UTC, microseconds; by default the store's own. Raises Missing,
    ForeignFile, NewerFile, ReadOnly or StorageFailed.
    """
    from .sqlite.log import SqliteStore

    if create and not os.path.lexists(name):
        from .sqlite import creating  # once in the life of a queue

        _make_own_folder(os.path.dirname(name))
        creating.create(name, schema(SQLITE))
    return SqliteStore(name, readonly=readonly, on_wait=on_wait, wall_us=wall_us)


def load_store() -> None:
    """Import all modules that an open store may need.

    For a program that continues to run after its files were replaced or removed.
    """
    from .sqlite import creating, lock_holders, log  # noqa: F401


def _make_own_folder(folder: str) -> None:
    """Create `folder` if it is the default folder; a mistyped --db creates no folders.

    Raises NotYourHome, NoAccess or FolderNotMade.
    """
    try:
        own = os.path.dirname(os.path.realpath(_own()))
    except NoHome:
        return
    if folder == own:
        _make_folders(folder)


def _make_folders(folder: str) -> None:
    """Create `folder` and its parents, each with mode 0700 as the XDG specification requires.

    `os.makedirs` would set the mode of the last folder only.
    """
    if os.path.isdir(folder):
        owner = os.stat(folder).st_uid
        # sudo may keep HOME: the user could not use a folder that root created there.
        if os.geteuid() == 0 and owner != 0:
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

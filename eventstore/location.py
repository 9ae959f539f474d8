"""Finding the queue that the user means, and opening it."""

import os
import re
import stat
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from .dialect import SQLITE
from .errors import (
    FolderNotMade,
    ForeignFile,
    InvalidAddress,
    Missing,
    NoAccess,
    NoDriver,
    NoHome,
    NotAFile,
    NotYourHome,
    NoWorkingDirectory,
    OptionAsPath,
)
from .file_identity import file_identity
from .store import Schema, Store

if TYPE_CHECKING:
    from .server_facts import ServerFacts  # only for `doctor`


class Location(NamedTuple):
    """The place of a queue, and why it was chosen. Only this module interprets the place."""

    place: str
    """For `open_store`: the absolute path of the queue file, links resolved, or the address of a
    queue on a server, which may contain a password.
    """
    why: str
    """`--db`, `QUEUECTL_DB`, `working directory` or `your own`."""

    @property
    def name(self) -> str:
        """The place for people: without a password."""
        return label_of(self.place)

    @property
    def on_server(self) -> bool:
        """True if the queue is on a server, false if it is a file."""
        return is_address(self.place)

    @property
    def reason(self) -> str:
        """Why this place was chosen, in words for the user."""
        return _REASONS.get(self.why, self.why)

    @property
    def file(self) -> str:
        """The path of the queue file. Raises NotAFile if the queue is on a server."""
        if self.on_server:
            raise NotAFile(self.name)
        return self.place

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


SCHEMES = ("postgresql://", "postgres://")
"""The beginnings of the address of a queue on a server."""

_OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_address(place: str) -> bool:
    """Return True for the address of a queue on a server, false for a path."""
    return place.startswith(SCHEMES)


def label_of(place: str) -> str:
    """Return a place for people: a path, or an address without its password."""
    if not is_address(place):
        return place
    from .postgres.address import address_from

    return address_from(place).label


def locate(named: str | None = None) -> Location:
    """Return the location of the queue: of a file, or on a server.

    The first of these that is given or exists: `named`, `QUEUECTL_DB`, `./queue.db`, the user's own
    queue. Raises OptionAsPath for a path that begins with `-`, ForeignFile for a symbolic link that
    belongs to another user, and InvalidAddress.
    """
    if named is not None:
        if not named:
            raise ForeignFile("''", "is not a path")
        return Location(_place(named), "--db")
    if from_environment := os.environ.get("QUEUECTL_DB"):
        return Location(_place(from_environment), "QUEUECTL_DB")
    if os.path.lexists("queue.db"):
        return Location(_followed("queue.db"), "working directory")
    return Location(_followed(_own()), "your own")


def exists(location: Location) -> bool:
    """Return True if there is a queue, or any other file, at this place.

    It is always true on a server, which is not asked: no command but `init` creates a queue there.
    """
    return location.on_server or os.path.lexists(location.place)


def missing(location: Location) -> Missing:
    """Return the error for a path without a queue file."""
    folder = os.path.dirname(location.place)
    return Missing(location.place, None if os.path.isdir(folder) else folder)


def leads_to(place: str, location: Location) -> bool:
    """Return True if `place` is this location, perhaps by another path.

    Addresses on servers are compared without their passwords.
    """
    if location.on_server or is_address(place):
        return label_of(place) == location.name
    return file_identity(place) == file_identity(location.place)


def _place(named: str) -> str:
    """Return the place that was named by a path or an address."""
    if is_address(named):
        label_of(named)  # raises InvalidAddress
        return named
    if other := _OTHER_SCHEME.match(named):
        raise InvalidAddress(f"{other[0]}…", "it does not begin with postgresql://")
    return _followed(_no_option(named))


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
    place: str,
    *,
    create: bool = False,
    readonly: bool = False,
    schema: Schema = lambda _: (),
    on_wait: Callable[[str], None] | None = None,
    wall_us: Callable[[], int] | None = None,
) -> Store:
    """Open the queue at `place`. With `create`, create a missing file, and the default folder.

    A queue on a server is not created; `create_on_server` does that. schema: returns the statements
    for the tables next to the log in a new file. on_wait: called once, with a message, if another
    process holds the write lock for longer than a second. wall_us: the clock for records in a file,
    UTC, microseconds; by default this machine's. Raises Missing, ForeignFile, NewerFile, ReadOnly
    or StorageFailed; on a server also NotCreated, NotAllowed, Away or NoDriver.
    """
    if is_address(place):
        return _open_on_server(place, readonly, on_wait)
    from .sqlite.log import SqliteStore

    if create and not os.path.lexists(place):
        from .sqlite import creating  # once in the life of a queue

        _make_own_folder(os.path.dirname(place))
        creating.create(place, schema(SQLITE))
    return SqliteStore(place, readonly=readonly, on_wait=on_wait, wall_us=wall_us)


def _open_on_server(address: str, readonly: bool, on_wait: Callable[[str], None] | None) -> Store:
    _refuse_without_driver()
    from .postgres.address import address_from
    from .postgres.store import PostgresStore

    return PostgresStore(
        address_from(address),
        lambda key: _server_folder(key, create=not readonly),
        readonly=readonly,
        on_wait=on_wait,
    )


def open_empty_on_server(address: str) -> tuple[Store, bool]:
    """Open a queue on a server for a migration into it.

    Return False with it if a migration was interrupted before. Raises the errors of `open_store`.
    """
    _refuse_without_driver()
    from .postgres.address import address_from
    from .postgres.store import PostgresStore

    folder = partial(_server_folder, create=True)
    store = PostgresStore(address_from(address), folder, accept="any")
    return store, store.is_complete


def create_on_server(address: str, schema: Schema, owner: str | None = None) -> bool:
    """Create a queue on a server; return False if it exists already.

    schema: returns the statements for the tables next to the log. owner: the role that is to own
    the queue; None: the user of the connection. Raises InvalidAddress, ForeignFile, NewerFile,
    NotAllowed, Busy, Full, Away or NoDriver.
    """
    _refuse_without_driver()
    from .postgres.address import address_from
    from .postgres.creating import create

    return create(address_from(address), schema, owner)


def refuse_long_roles(address: str) -> None:
    """Raise InvalidAddress if the names of the roles of a queue would be too long."""
    from .postgres.address import address_from
    from .postgres.roles import roles_of

    roles_of(address_from(address))


def create_roles_on_server(address: str) -> tuple[list[str], list[str]]:
    """Create the roles of a queue on a server that are missing, and give all their rights.

    Return the names of the roles, and of the new ones. Raises InvalidAddress, NotCreated,
    NotAllowed, Away or NoDriver.
    """
    _refuse_without_driver()
    from .postgres.address import address_from
    from .postgres.creating import create_roles

    roles, new = create_roles(address_from(address))
    return list(roles), new


def creation_sql(address: str, schema: Schema, owner: str | None) -> str:
    """Return the SQL of `create_on_server`, for psql. No server is needed."""
    from .postgres.address import address_from
    from .postgres.scripts import creation_script

    return creation_script(address_from(address), schema, owner)


def roles_sql(address: str, owner: str | None) -> str:
    """Return the SQL of `create_roles_on_server`, for psql. Raises InvalidAddress.

    owner: the owner of the queue; None: the user that runs the SQL.
    """
    from .postgres.address import address_from
    from .postgres.scripts import roles_script

    return roles_script(address_from(address), owner)


def server_facts(address: str) -> "ServerFacts":
    """Return the facts about the server of a queue, which need not exist.

    Raises InvalidAddress, ForeignFile if the server is too old, Away or NoDriver.
    """
    _refuse_without_driver()
    from .postgres.address import address_from
    from .postgres.health import examine

    return examine(address_from(address))


def _refuse_without_driver() -> None:
    """Raise NoDriver if psycopg is not installed, or finds no libpq."""
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise NoDriver(str(error).partition("\n")[0]) from None


def _server_folder(key: str, *, create: bool) -> str:
    """Return this machine's folder of a queue on a server. create: create the folders above it.

    Without a home directory it is in the folder for temporary files, where only its owner may
    replace it.
    """
    try:
        parent = os.path.join(os.path.dirname(_own()), "servers")
    except NoHome:
        from tempfile import gettempdir

        return os.path.join(gettempdir(), f"queuectl-{os.geteuid()}-{key}.d")
    if create:
        _make_folders(parent)
    return os.path.join(parent, f"{key}.d")


def load_store(named: str | None = None) -> None:
    """Import all modules that an open store may need.

    For a program that continues to run after its files were replaced or removed. named: as in
    `locate`. Raises NoDriver.
    """
    from .sqlite import creating, lock_holders, log  # noqa: F401

    if is_address(named if named is not None else os.environ.get("QUEUECTL_DB", "")):
        _refuse_without_driver()
        from .postgres import chunks, integrity, lives, porter, store  # noqa: F401


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

"""The place into which a queue is migrated: it can be used as a queue only when it is complete."""

import os
import shutil
from contextlib import closing
from typing import Protocol

from .errors import NotEmpty, StorageFailed
from .location import Location, open_empty_on_server, open_store
from .parts import refuse_part, temporary_names
from .renaming import rename_new
from .store import Head, Schema, Store
from .syncing import sync


class NewPlace(Protocol):
    """An incomplete copy of a queue. If a migration was interrupted, it has what was copied."""

    label: str
    """The place for people."""
    store: Store

    def complete(self) -> None:
        """Let others use the place as a queue. Afterwards `store` cannot be used."""

    def close(self) -> None:
        """Close the store, and keep what it has."""


def new_place(location: Location, schema: Schema) -> NewPlace:
    """Open an empty place, or one into which a migration was interrupted.

    schema: returns the statements for the tables next to the log. Raises NotEmpty, the errors of
    `open_store`, and on a server NotCreated: only `init` creates a queue there.
    """
    if location.on_server:
        return _OnServer(location)
    return _NewFile(location.file, schema)


def resume_naming(location: Location, head: Head) -> None:
    """Give a new file its name if a migration ended after its folder had got the name.

    head: the last event of the queue that moves. Changes nothing in all other cases. Raises the
    errors of `open_store`, NotEmpty and StorageFailed.
    """
    if location.on_server:
        return
    path, building = location.file, _building(location.file)
    names = (building, f"{building}.d", f"{path}.d", path)
    if [os.path.lexists(name) for name in names] != [True, False, True, False]:
        return
    with closing(open_store(building)) as store:
        is_this_queue = store.head() == head
    if is_this_queue:
        _name_file(path)


def _building(path: str) -> str:
    """Return the temporary name of a file. It is the same for each migration into the place."""
    return f"{path}.migrating"


def _name_file(path: str) -> None:
    """Give the file its name. Its folder has its name already, so that no output is missing."""
    try:
        if not rename_new(_building(path), path):
            raise NotEmpty(path)
        sync(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StorageFailed(path, f"{error.strerror} when it got its name") from None


class _NewFile:
    """A file with a temporary name."""

    def __init__(self, path: str, schema: Schema) -> None:
        for existing in (path, f"{path}.d"):
            if os.path.lexists(existing):
                raise NotEmpty(existing)
        refuse_part(path)
        self.label, self._building = path, _building(path)
        self.store = open_store(self._building, create=True, schema=schema)

    def complete(self) -> None:
        """Give the file and its folder their names; all is on disk before and after."""
        self.close()
        try:
            sync(self._building, os.O_RDONLY)
            for name in temporary_names(self._building):  # they do not match the name it gets
                os.unlink(name)
            if os.path.lexists(f"{self._building}.d"):
                shutil.rmtree(f"{self._building}.d/locks", ignore_errors=True)
                os.rename(f"{self._building}.d", f"{self.label}.d")
        except OSError as error:
            raise StorageFailed(self.label, f"{error.strerror} when it got its name") from None
        _name_file(self.label)

    def close(self) -> None:
        """Close the file, which moves all records from its -wal into it."""
        self.store.close()


class _OnServer:
    """A queue that the server marks as incomplete, so that all other processes refuse it."""

    def __init__(self, location: Location) -> None:
        self.label = location.name
        self.store, is_complete = open_empty_on_server(location.place)
        if is_complete:
            try:
                self._mark()
            except BaseException:
                self.store.close()
                raise

    def _mark(self) -> None:
        with self.store.maintain() as tx:
            if tx.last[0]:
                raise NotEmpty(self.label)
            tx.execute("UPDATE meta SET complete = false")

    def complete(self) -> None:
        """Remove the mark."""
        with self.store.maintain() as tx:
            tx.execute("UPDATE meta SET complete = true")
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.store.close()

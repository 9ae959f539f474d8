"""An open queue on a server: its log, and what the processes of this machine share."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from ..errors import StoreError
from ..lock import Lock
from ..side_folder import SideFolder
from ..store import Head, OnProgress, RingsFor
from .address import Address, direct
from .doorbell import LISTENERS, PostgresDoorbell, listening_here
from .log import PostgresLog
from .notifying import Channel, announcements

if TYPE_CHECKING:
    from ..output_files import OutputFiles, Piece
    from .lives import PostgresLives


class PostgresStore(PostgresLog):
    """An open queue on a server."""

    def __init__(
        self,
        address: Address,
        folder: Callable[[str], str],
        *,
        readonly: bool = False,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        """Open the queue.

        folder: returns this machine's folder of the queue with this key. on_wait: called once, with
        a message, if another process holds the write lock for longer than a second. Raises
        NotCreated, ForeignFile, NewerFile, NotAllowed or Away.
        """
        super().__init__(address, readonly=readonly, on_wait=on_wait)
        self.side_folder = SideFolder(folder(self.key))

    def output_files(self, job_id: str, attempt: int, limit_bytes: int) -> "OutputFiles":
        """Return the files for an attempt's long output; they are created by the first write."""
        from ..output_files import OutputFiles  # only for workers

        folder = partial(self.side_folder.folder, "outputs")
        return OutputFiles(folder, job_id, attempt, limit_bytes)

    def pieces(self, job_id: str, attempt: int, since: int = 0) -> Iterator["Piece"]:
        """Yield the pieces that an attempt's files contain now, in order.

        since: the offset in bytes at which to begin.
        """
        from ..output_files import pieces  # most commands read no output

        return pieces(self.side_folder.existing("outputs"), job_id, attempt, since)

    def copy_to(self, path: str, on_progress: OnProgress = lambda _, __: None) -> Head:
        """Copy the queue's current state, as a queue file, into the empty file at `path`."""
        raise NotImplementedError

    def lock(self, name: str) -> Lock:
        """Return the lock of this machine with this name; it is not acquired yet."""
        return Lock(self.side_folder.folder("locks"), name)

    def lives(self) -> "PostgresLives":
        """Return the leases of the workers, with a connection of their own, not yet made."""
        from .lives import PostgresLives  # only for workers

        return PostgresLives(self._address, self.key)

    def doorbell(self) -> PostgresDoorbell:
        """Return a new doorbell, which rings for each commit. Raises InvalidAddress or OSError."""
        return self._doorbell("log")

    def guarded_doorbell(self, rings_for: RingsFor = "everything") -> PostgresDoorbell:
        """Return a new doorbell. No other program can remove it.

        Raises InvalidAddress or OSError.
        """
        return self._doorbell("log" if rings_for == "everything" else "work")

    def _doorbell(self, channel: Channel) -> PostgresDoorbell:
        address = direct(self._address)
        return PostgresDoorbell(address, self.key, channel, self._on_wait or _say_nothing)

    def listeners(self) -> set[int]:
        """Return the pids of the processes of this machine that have a doorbell. Raises Away."""
        with self.read() as tx:
            return listening_here([name for (name,) in tx.query(LISTENERS)])

    def ring(self) -> None:
        """Wake all listeners. Never fails."""
        both = announcements(self.key, 0, ("work", "log"))
        try:
            with self.read():
                self._connection.execute(f"{both}COMMIT".encode())
        except (StoreError, psycopg.Error):
            pass  # listeners also read the log regularly

    def has_open(self, pid: int) -> bool:
        """Return False: whether a process is connected to this queue cannot be seen."""
        return False

    def close(self) -> None:
        """Close the connection and the folder of this machine."""
        super().close()
        self.side_folder.close()


def _say_nothing(_: str) -> None:
    """Drop a message, as the caller takes none."""

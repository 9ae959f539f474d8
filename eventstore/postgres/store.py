"""An open queue on a server: its log, and what the processes of this machine share."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from ..lock import Lock
from ..side_folder import SideFolder
from ..store import Head, OnProgress
from .address import Address
from .doorbell import PostgresDoorbell
from .log import PostgresLog

if TYPE_CHECKING:
    from ..output_files import OutputFiles, Piece


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

    def doorbell(self) -> PostgresDoorbell:
        """Return a new doorbell for this process."""
        return PostgresDoorbell(self._address)

    def guarded_doorbell(self) -> PostgresDoorbell:
        """Return a new doorbell. Nobody can remove it."""
        return self.doorbell()

    def listeners(self) -> set[int]:
        """Return no process: the server knows who listens."""
        return set()

    def ring(self) -> None:
        """Wake all listeners. Never fails."""

    def has_open(self, pid: int) -> bool:
        """Return False: whether a process is connected to this queue cannot be seen."""
        return False

    def close(self) -> None:
        """Close the connection and the folder of this machine."""
        super().close()
        self.side_folder.close()

"""An open queue on a server: its log, and what the processes of this machine share."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from ..errors import Away, StoreError
from ..lock import Lock
from ..side_folder import SideFolder
from ..store import Bindings, RingsFor, Row
from .address import Address
from .doorbell import LISTENERS, PostgresDoorbell, listening_here
from .failures import translated
from .following import OutputFollower
from .log import Accept, PostgresLog
from .notifying import Channel, announcements
from .reader import PostgresReader
from .round_trip import Command, run

if TYPE_CHECKING:
    from ..output_files import OutputFiles, Piece
    from .lives import PostgresLives
    from .porter import Porter


LAST_BEATS = "SELECT worker, beat FROM {schema}.leases"


class PostgresStore(PostgresLog):
    """An open queue on a server."""

    own_commits_ring = False

    def __init__(
        self,
        address: Address,
        folder: Callable[[str], str],
        *,
        readonly: bool = False,
        on_wait: Callable[[str], None] | None = None,
        accept: Accept = "complete",
    ) -> None:
        """Open the queue.

        folder: returns this machine's folder of the queue with this key. on_wait: called once, with
        a message, if another process holds the write lock for longer than a second. Raises
        NotCreated, ForeignFile, NewerFile, NotAllowed or Away.
        """
        super().__init__(address, readonly=readonly, on_wait=on_wait, accept=accept)
        self.side_folder = SideFolder(folder(self.key))
        self._porter: Porter | None = None
        self._follower = OutputFollower(self._schema)

    def output_files(self, job_id: str, attempt: int, limit_bytes: int) -> "OutputFiles":
        """Return the files for an attempt's long output; they are created by the first write.

        A thread sends what is written to them to the server.
        """
        from .porter import Porter  # only for workers
        from .sent_files import SentFiles

        if self._porter is None:
            self._porter = Porter(
                self._address, self.queue_id, self.side_folder.path, self._on_wait or _say_nothing
            )
        folder = partial(self.side_folder.folder, "outputs")
        return SentFiles(folder, job_id, attempt, limit_bytes, self._porter)

    def pieces(self, job_id: str, attempt: int, since: int = 0) -> Iterator["Piece"]:
        """Yield the pieces of an attempt's long output: from its files here, else from the server.

        since: the offset in bytes at which to begin.
        """
        from ..output_files import pieces  # most commands read no output
        from .chunks import chunks

        if self.writes_here(job_id, attempt):
            return pieces(self.side_folder.existing("outputs"), job_id, attempt, since)
        return chunks(self._query, job_id, attempt, since)

    def writes_here(self, job_id: str, attempt: int) -> bool:
        """Return whether this machine has the files of an attempt's long output."""
        from ..output_files import has_files

        return has_files(self.side_folder.existing("outputs"), job_id, attempt)

    def has_all(self, job_id: str, attempt: int, kept_bytes: int) -> bool:
        """Return whether all that was kept of an attempt's long output can be read here now."""
        from .chunks import has_arrived

        return self.writes_here(job_id, attempt) or has_arrived(
            self._query, job_id, attempt, kept_bytes
        )

    def follow_output(self, job_id: str, attempt: int) -> None:
        """Let another machine send the output of a running attempt when it is printed."""
        if self.writes_here(job_id, attempt):
            return
        self._take_turn()
        try:
            with translated(self.label):
                self._follower.follow(self._connection, job_id, attempt)
        except Away:
            pass  # the next call tries again
        finally:
            self._turn.release()

    def _query(self, sql: str, bindings: Bindings) -> list[Row]:
        """Run a query in the open transaction, or else in one of its own."""
        if self._turn.locked():
            return PostgresReader(self._connection, self._schema).query(sql, bindings)
        with self.read() as tx:
            return tx.query(sql, bindings)

    def lock(self, name: str) -> Lock:
        """Return the lock of this machine with this name; it is not acquired yet."""
        return Lock(self.side_folder.folder("locks"), name)

    def last_beats(self) -> dict[str, int]:
        """Return when each worker last showed that it lives, by the server's clock. Raises Away."""
        with translated(self.label):
            rows = self._connection.execute(LAST_BEATS.format(schema=self._schema).encode())
            return dict(rows.fetchall())

    def lives(self) -> "PostgresLives":
        """Return the leases of the workers, with a connection of their own, not yet made."""
        from .lives import PostgresLives  # only for workers

        return PostgresLives(self._address, self.queue_id)

    def doorbell(self) -> PostgresDoorbell:
        """Return a new doorbell, which rings for each commit. Raises InvalidAddress or OSError."""
        return self._doorbell("log")

    def guarded_doorbell(self, rings_for: RingsFor = "everything") -> PostgresDoorbell:
        """Return a new doorbell. No other program can remove it.

        Raises InvalidAddress or OSError.
        """
        return self._doorbell("log" if rings_for == "everything" else "work")

    def _doorbell(self, channel: Channel) -> PostgresDoorbell:
        say = self._on_wait or _say_nothing
        return PostgresDoorbell(self._address, self.queue_id, channel, say)

    def listeners(self) -> set[int]:
        """Return the pids of the processes of this machine that have a doorbell. Raises Away."""
        with self.read() as tx:
            return listening_here([name for (name,) in tx.query(LISTENERS)])

    def ring(self) -> None:
        """Wake all listeners. Never fails."""
        both = announcements(self.queue_id, 0, ("work", "log"))
        try:
            with self.read():
                run(self._connection, [Command(text.encode()) for text in (*both, "COMMIT")])
        except (StoreError, psycopg.Error):
            pass  # listeners also read the log regularly

    def has_open(self, pid: int) -> bool:
        """Return False: whether a process is connected to this queue cannot be seen."""
        return False

    def close(self) -> None:
        """Send the outputs that were kept, and close the connection and this machine's folder."""
        if self._porter is not None:
            self._porter.close()
        if self._open_connection is not None:
            try:
                self._follower.end(self._open_connection)
            except psycopg.Error:
                pass  # the row will soon be invalid
        super().close()
        self.side_folder.close()


def _say_nothing(_: str) -> None:
    """Drop a message, as the caller takes none."""

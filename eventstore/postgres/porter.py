"""Sending the long outputs of a worker to the server, where all machines can read them.

A thread reads the files of the attempts. It sends the head of an output as soon as it is printed.
Later output is sent while somebody follows it, and at the end of the attempt what was kept. So a
job that prints gigabytes costs the server only what is kept. See docs/decisions/0020.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import psycopg

from ..errors import Away, Gone, StoreError
from ..output_files import gaps_of, pieces
from ..quiet_thread import start_thread
from ..side_folder import SideFolder
from .address import Address
from .chunks import Batch, tidy
from .connecting import Connection, connect
from .failures import translated
from .following import followed_outputs, output_name
from .listener import Say
from .notifying import announcements
from .sent_files import Fate, Parcel

ROUND_S = 1.0
"""The shortest time between two rounds, unless an attempt has ended."""

IDLE_S = 30.0
"""An unused connection is closed after this time."""

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""The pauses after failures in a row; the last one is repeated."""

REPORTED_AT = 3
"""The failures in a row after which it is reported that outputs cannot be sent."""

CLOSING_S = 10.0
"""How long the end of a worker waits until its outputs are sent."""

_END = 2**62


class Porter:
    """Sends outputs, by a thread."""

    def __init__(self, address: Address, key: str, folder: str, say: Say) -> None:
        """Prepare to send; the first output starts the thread.

        key: of the queue. folder: path of this machine's folder of the queue. say: called once, by
        the thread, if outputs cannot be sent although the server answers.
        """
        self._address, self._key = address, key
        self._folder, self._say = SideFolder(folder), say
        self._said = False
        self._changed = threading.Condition()
        """Guards the attributes that follow, but for the connection."""
        self._parcels: list[Parcel] = []
        self._thread: threading.Thread | None = None
        self._end_at_s: float | None = None
        """When the thread has to end, by the monotonic clock; None while the worker runs."""
        self._connection: Connection | None = None
        self._failures, self._next_round_at_s = 0, 0.0

    def printed(self, parcel: Parcel) -> None:
        """Send the output that was written to its files. Does not wait."""
        if parcel.has_more and self._thread:  # it has not read the files since that was set
            return
        with self._changed:
            parcel.has_more = True
            if parcel not in self._parcels:
                self._parcels.append(parcel)
            self._start()
            self._changed.notify()

    def done(self, parcel: Parcel, fate: Fate) -> None:
        """Send the rest of the output; or delete what was sent, if it was removed."""
        with self._changed:
            if parcel.fate == "runs":
                parcel.fate = fate
            self._start()
            self._changed.notify()

    def close(self) -> None:
        """Send what was kept of all outputs, and end the thread; give up after CLOSING_S."""
        with self._changed:
            self._end_at_s = time.monotonic() + CLOSING_S
            for parcel in self._parcels:
                if parcel.fate == "runs":
                    parcel.fate = "ended"
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(CLOSING_S)

    def _start(self) -> None:
        """Start the thread, unless it runs. If the machine refuses one, the next call tries it."""
        if self._thread is not None:
            return
        with suppress(RuntimeError):
            self._thread = start_thread(self._run, "porter")

    def _run(self) -> None:
        """Send outputs until the worker ends. All that follows runs on the thread."""
        try:
            while (parcels := self._next_parcels()) is not None:
                try:
                    self._send(parcels)
                    self._failures = 0
                except (StoreError, psycopg.Error, OSError) as error:
                    self._failures += 1
                    self._doubt(parcels)
                    self._report(error)
        finally:
            self._disconnect()
            self._folder.close()

    def _next_parcels(self) -> list[Parcel] | None:
        """Wait for output to send; return None if the worker has ended and all is sent."""
        with self._changed:
            while not self._changed.wait_for(self._has_work, IDLE_S):
                self._disconnect()
            if self._failures:
                self._pause()
            else:
                self._changed.wait_for(self._is_urgent, self._next_round_at_s - time.monotonic())
            if self._end_at_s is not None and (
                not self._parcels or time.monotonic() > self._end_at_s
            ):
                return None
            return list(self._parcels)

    def _pause(self) -> None:
        """Wait after a failure; shortly if the worker ends."""
        ends = self._end_at_s is not None
        pause_s = PAUSES_S[0] if ends else PAUSES_S[min(self._failures, len(PAUSES_S)) - 1]
        self._changed.wait_for(lambda: self._end_at_s is not None and not ends, pause_s)

    def _has_work(self) -> bool:
        return self._end_at_s is not None or any(
            parcel.has_more or parcel.fate != "runs" for parcel in self._parcels
        )

    def _is_urgent(self) -> bool:
        return self._end_at_s is not None or any(parcel.fate != "runs" for parcel in self._parcels)

    def _send(self, parcels: Sequence[Parcel]) -> None:
        """Send what is due of each output. Raises StoreError or psycopg.Error."""
        with translated(self._address.label):
            self._send_all(parcels)

    def _send_all(self, parcels: Sequence[Parcel]) -> None:
        self._next_round_at_s = time.monotonic() + ROUND_S
        fates = [parcel.fate for parcel in parcels]  # read before the files: they are complete then
        connection = self._connected()
        schema = self._address.quoted_schema
        followed = followed_outputs(connection, schema)
        announcement = announcements(self._key, 0, ["log"]) if followed else []
        batch = Batch(connection, schema, announcement)
        for parcel, fate in zip(parcels, fates, strict=True):
            if fate == "removed":
                batch.delete_all(parcel)
                continue
            due = fate == "ended" or output_name(parcel.job_id, parcel.attempt) in followed
            self._send_one(batch, parcel, _END if due else parcel.head_bytes)
            if fate == "ended":
                batch.complete(parcel)
        batch.send()
        with self._changed:
            for parcel, fate in zip(parcels, fates, strict=True):
                if fate != "runs":
                    self._parcels.remove(parcel)

    def _send_one(self, batch: Batch, parcel: Parcel, limit: int) -> None:
        """Send what was printed before the offset `limit`."""
        parcel.has_more = False
        folder = self._folder.existing("outputs")
        batch.trim(parcel, gaps_of(folder, parcel.job_id, parcel.attempt))
        for piece in pieces(folder, parcel.job_id, parcel.attempt, parcel.sent):
            if piece.offset >= limit:
                parcel.has_more = True
                return
            batch.insert(parcel, piece)
            if batch.is_full:
                batch.send()

    def _doubt(self, parcels: Sequence[Parcel]) -> None:
        """Send again what the last transaction may have stored."""
        self._disconnect()
        for parcel in parcels:
            parcel.has_more, parcel.is_certain = True, False

    def _report(self, error: Exception) -> None:
        """Report once that outputs stay here, unless the server is away: others report that."""
        if self._failures == REPORTED_AT and not isinstance(error, Away) and not self._said:
            self._said = True
            what = str(error).partition("\n")[0]
            self._say(
                f"outputs are not sent to the server ({what}); they are in the folder"
                f" {self._folder.path}/outputs"
            )

    def _connected(self) -> Connection:
        """Return the connection. Raises StoreError."""
        if self._connection is None:
            connected = connect(self._address, "queuectl porter")
            self._connection = connected.connection
            if connected.queue_id != self._key:
                raise Gone(self._address.label)
            tidy(self._connection, self._address.quoted_schema)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

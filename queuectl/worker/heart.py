"""The thread that shows, by regular beats, that a worker on a server lives.

Each beat also reads the beats of all other workers, and so shows which of them have died. The
thread has a connection of its own, since the loop may wait for a lock. A beat without an answer
means nothing; only the clock decides when the lease ends. See docs/decisions/0019.

If the loop gets no answer, it makes the heart hurry: the next beats follow soon, so that the loop
goes on soon after a restart of the server.

The loop owns `leases_us` and reads `answers` and `take_overdue`; the thread owns the rest.
"""

import os
import secrets
import threading
from collections.abc import Mapping

from eventstore.errors import StoreError
from eventstore.quiet_thread import start_thread
from eventstore.store import Lives

from .fence import Fence
from .keeper import boot_us
from .lease import Lease, Overdue, Watch, beat_us
from .sd_notify import Notifier

AGAIN = 4
"""After a beat without an answer, the next one follows after this part of the usual pause."""
HURRY_US = 500_000
"""The first pause of a heart that hurries; each beat without an answer doubles it."""
END_S = 2.0
"""How long the end of a worker waits for the thread: the server may be silent."""


class Heart:
    """The beats of this worker. The thread must be started before jobs run.

    lease_us: None for a worker that has no end by time; it beats to see the others. notifier: None
    if systemd has not started this worker.
    The descriptor is readable after an answer that the loop should know of, and if the fence has
    frozen the jobs or let them go on.
    """

    def __init__(
        self,
        lives: Lives,
        worker_id: str,
        lease_us: int | None,
        fence: Fence,
        notifier: Notifier | None = None,
    ) -> None:
        self._lives, self._worker_id, self._fence = lives, worker_id, fence
        self._notifier = notifier
        self._lease_us = lease_us
        fence.changed = self._wake
        self._lease = None if lease_us is None else Lease(lease_us)
        self._watch = Watch()
        self._overdue: list[Overdue] = []
        self._begun = False
        self._woken = threading.Event()
        self._is_ending = self._hurries = False
        self._unanswered = 0
        """Number of beats in a row without an answer."""
        self._thread: threading.Thread | None = None
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self.answers = 0
        """Number of beats that were answered."""
        self._leases_us: Mapping[str, int] = {}

    def fileno(self) -> int:
        """Return a descriptor that is readable if a worker is overdue or the server is back."""
        return self._read

    def start(self) -> None:
        """Start the thread, once; it beats after `begin`. Raises RuntimeError if it is refused."""
        self._thread = self._thread or start_thread(self._run, "heart")

    def begin(self) -> None:
        """Begin the lease. Raises Away, Gone or NotAllowed."""
        sent_us = boot_us()
        self._lives.begin(self._worker_id, _nonce())
        self._confirmed(sent_us)
        self._begun = True

    def take_overdue(self) -> list[Overdue]:
        """Return the workers that may be taken over by the last answer."""
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            pass
        overdue, self._overdue = self._overdue, []
        return overdue

    @property
    def leases_us(self) -> Mapping[str, int]:
        """The leases of the other workers that may be taken over by time."""
        return self._leases_us

    @leases_us.setter
    def leases_us(self, leases_us: Mapping[str, int]) -> None:
        is_shorter = min(leases_us.values(), default=0) < min(self._leases_us.values(), default=0)
        is_first = bool(leases_us) and not self._leases_us
        self._leases_us = leases_us
        if is_shorter or is_first:
            self._woken.set()  # the pause until the next beat may be too long to watch it

    def hurry(self) -> None:
        """Beat soon, and wake the loop at the next answer: the loop got none from the server."""
        self._hurries = True
        self._woken.set()

    def end(self) -> None:
        """End the lease and the thread. Call it when the end of the worker is recorded."""
        self._is_ending = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join(END_S)

    def _run(self) -> None:
        while not self._is_ending:
            if self._woken.wait(self._pause_us() / 1e6):
                self._woken.clear()  # the pause has become shorter, or is the last one
            elif self._begun:
                self._beat()
        self._leave()

    def _pause_us(self) -> int:
        """Return the time until the next beat. Short leases of others must be watched, too."""
        pauses_us = [beat_us(lease_us) for lease_us in self.leases_us.values()]
        pause_us = min([beat_us(self._lease_us), *pauses_us])
        if self._hurries:
            return min(pause_us // AGAIN, HURRY_US << min(self._unanswered, 10))
        return pause_us // AGAIN if self._unanswered else pause_us

    def _beat(self) -> None:
        sent_us = boot_us()
        try:
            nonces = self._lives.beat(self._worker_id, _nonce())
        except StoreError:
            self._unanswered += 1
            return
        answered_us = boot_us()
        if nonces is None:
            self._fence.trip(f"the jobs of worker {self._worker_id} were taken over")
        self._confirmed(sent_us)
        del nonces[self._worker_id]
        self._overdue = self._watch.saw(sent_us, answered_us, nonces, self.leases_us)
        is_back = self._hurries or self._unanswered > 0
        self._hurries, self._unanswered = False, 0
        self.answers += 1
        if self._overdue or is_back:
            self._wake()

    def _confirmed(self, sent_us: int) -> None:
        """Postpone the deadline of the fence, and with it that of the keeper."""
        if self._lease is None:
            return
        self._fence.postpone(self._lease.confirmed(sent_us))
        if self._notifier is not None:
            self._notifier.confirmed()

    def _leave(self) -> None:
        try:
            if self._begun:
                self._lives.end(self._worker_id)
        except StoreError:
            pass  # the next worker removes the row
        finally:
            self._lives.close()

    def _wake(self) -> None:
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            pass  # the pipe is full: the loop will be woken anyway


def _nonce() -> int:
    """Return a random number of 64 bits, with a sign: a type that databases have."""
    return int.from_bytes(secrets.token_bytes(8), signed=True)

"""A bell that rings when a server announces a commit: a thread writes a byte into a pipe."""

import errno
import os
import threading
from collections.abc import Collection

from ..quiet_thread import start_thread
from .address import Address
from .listener import LISTENS, Listener, Say, application_name
from .notifying import Channel

CLOSING_S = 1.0
"""The longest wait for the end of the thread: it may be connecting."""

# Any user may read these columns.
LISTENERS = f"""
    SELECT application_name FROM pg_stat_activity
     WHERE datname = current_database() AND starts_with(application_name, '{LISTENS}')"""


class PostgresDoorbell:
    """A listener's bell: `fileno()` is readable once the log may have grown since `drain()`."""

    def __init__(self, address: Address, key: str, channel: Channel, say: Say) -> None:
        """Begin to listen. The bell rings as soon as it hears.

        address: of the queue; the one in `QUEUECTL_DB_DIRECT` is preferred. key: of the queue.
        channel: `log` makes writers announce each commit. say: called once, by the thread, if the
        connection hears nothing. Raises InvalidAddress, or OSError if no thread can be started.
        """
        self._read, self._write = os.pipe()
        self._stopped, self._stop = os.pipe()
        for descriptor in (self._read, self._write):
            os.set_blocking(descriptor, False)
        self._listener = Listener(address, key, channel, say, self._write, self._stopped)
        self._thread = self._started()

    def fileno(self) -> int:
        """Return the descriptor to select on for reading."""
        return self._read

    def drain(self) -> None:
        """Discard all rings so far. Read the log after this call, never before."""
        try:
            while len(os.read(self._read, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def check(self) -> None:
        """Do nothing: no other program can remove this bell."""

    def close(self) -> None:
        """End the thread, which closes its connection."""
        os.close(self._stop)
        self._thread.join(CLOSING_S)
        os.close(self._read)

    def _started(self) -> threading.Thread:
        try:
            return start_thread(self._run, "doorbell")
        except RuntimeError as error:
            for descriptor in (self._read, self._write, self._stopped, self._stop):
                os.close(descriptor)
            raise OSError(errno.EAGAIN, str(error)) from None

    def _run(self) -> None:
        """Listen until the bell is closed. The thread closes its ends of the pipes."""
        try:
            self._listener.run()
        finally:
            os.close(self._write)
            os.close(self._stopped)


def listening_here(application_names: Collection[str]) -> set[int]:
    """Return the pids of the processes of this machine that listen with these names."""
    pids = (name.removeprefix(LISTENS).partition("@")[0] for name in application_names)
    numbers = {int(pid) for pid in pids if pid.isdecimal()}
    return {pid for pid in numbers if application_name(pid) in application_names}

"""A bell that looks at the log of a server again and again."""

import os
import signal
import threading

from ..errors import StoreError
from ..log_reader import LAST
from .address import Address
from .connecting import Connection, connect
from .failures import translated

POLL_S = 0.5


class PostgresDoorbell:
    """A listener's bell: a thread that reads the head of the log every half second."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def fileno(self) -> int:
        """Return the descriptor to select on for reading."""
        return self._read

    def drain(self) -> None:
        """Discard all rings so far. Read the log after this call, never before."""
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            pass

    def check(self) -> None:
        """Do nothing: no other program can remove this bell."""

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def _poll(self) -> None:
        connection: Connection | None = None
        last = None
        while not self._closed.wait(POLL_S):
            try:
                if connection is None or connection.closed:
                    connection = connect(self._address).connection
                with translated(self._address.label):
                    path = f"SET search_path = {self._address.quoted_schema}, pg_temp"
                    connection.execute(path.encode())
                    head = connection.execute(LAST).fetchall()
            except StoreError:
                continue
            if head != last:
                last = head
                self._ring()
        if connection is not None:
            connection.close()

    def _ring(self) -> None:
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            pass

"""The socket of systemd, as a worker sees it: it collects the messages of a service."""

import os
import socket
import threading
import time
from types import TracebackType

from tests.ctl import until


class Manager:
    """A service manager that only listens.

    address: a path, or `@` and a name for an abstract socket.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._lines: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._thread = threading.Thread(target=self._collect, daemon=True)

    def __enter__(self) -> "Manager":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def env(self, watchdog_us: int | None = None) -> dict[str, str]:
        """Return the environment of a service. watchdog_us: None if it is not watched."""
        watchdog = {} if watchdog_us is None else {"WATCHDOG_USEC": str(watchdog_us)}
        return {"NOTIFY_SOCKET": self.address, **watchdog}

    @property
    def lines(self) -> list[str]:
        """All lines so far, in order."""
        return [line for _, line in self._lines]

    def times(self, line: str) -> list[float]:
        """Return when this line has come, by the monotonic clock."""
        return [at for at, received in self._lines if received == line]

    def awaits(self, start: str, after: int = 0) -> str:
        """Wait for a line that begins so, and return the first one after the line `after`."""
        return until(
            lambda: next((line for line in self.lines[after:] if line.startswith(start)), None),
            f"{start} in {self.lines}",
        )

    def _collect(self) -> None:
        while message := self._socket.recv(65536):
            at = time.monotonic()
            self._lines += [(at, line) for line in message.decode().split("\n")]


def abstract(name: str) -> str:
    """Return the address of an abstract socket that no other test uses."""
    return f"@queuectl-{os.getpid()}-{name}"

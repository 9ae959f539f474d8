"""A proxy before a server that alters what clients send, or passes nothing on for some time."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.faults.proxying import Proxy, shut


class AlteringProxy(Proxy):
    """Passes connections on to the socket of a server."""

    def __init__(
        self, folder: Path, server: Path, alter: Callable[[bytes], bytes] = lambda data: data
    ) -> None:
        """folder: where the proxy listens. server: the folder of the server's socket."""
        self._alter = alter
        self._passes = threading.Event()
        self._passes.set()
        self.connections = 0
        """Number of connections so far."""
        self._sockets: list[socket.socket] = []
        super().__init__(folder, server)

    def stall(self) -> None:
        """Pass nothing on in the connections of now, without closing them; accept new ones."""
        self._passes.clear()
        self._passes = threading.Event()
        self._passes.set()

    def close(self) -> None:
        """End all connections, and accept no more."""
        super().close()
        for each in self._sockets:
            shut(each)
            each.close()

    def _connected(self, client: socket.socket, server: socket.socket) -> None:
        self._sockets += (client, server)
        self.connections += 1
        for ends in ((client, server, self._alter), (server, client, lambda data: data)):
            arguments = (*ends, self._passes)
            threading.Thread(target=self._pass, args=arguments, daemon=True).start()

    def _pass(
        self,
        source: socket.socket,
        target: socket.socket,
        alter: Callable[[bytes], bytes],
        passes: threading.Event,
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                passes.wait()
                target.sendall(alter(data))
        shut(target)

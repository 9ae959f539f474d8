"""A proxy before a server that alters what clients send, or passes nothing on for some time."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class AlteringProxy:
    """Passes connections on to the socket of a server."""

    def __init__(
        self, folder: Path, server: Path, alter: Callable[[bytes], bytes] = lambda data: data
    ) -> None:
        """folder: where the proxy listens. server: the folder of the server's socket."""
        self._target, self._alter = f"{server}/.s.PGSQL.5432", alter
        self._passes = threading.Event()
        self._passes.set()
        self.connections = 0
        """Number of connections so far."""
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/.s.PGSQL.5432")
        os.chmod(f"{folder}/.s.PGSQL.5432", 0o777)
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Pass nothing on in the connections of now, without closing them; accept new ones."""
        self._passes.clear()
        self._passes = threading.Event()
        self._passes.set()

    def close(self) -> None:
        """End all connections, and accept no more."""
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
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
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

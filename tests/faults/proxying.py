"""A proxy before the socket of a server."""

import os
import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path


class Proxy(ABC):
    """Accepts connections, and connects each of them to the server."""

    def __init__(self, folder: Path, server: Path) -> None:
        """folder: where the proxy listens. server: the folder of the server's socket."""
        self._target = f"{server}/.s.PGSQL.5432"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/.s.PGSQL.5432")
        os.chmod(f"{folder}/.s.PGSQL.5432", 0o777)
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @abstractmethod
    def _connected(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on, in other threads, what comes from both ends of a new connection."""

    def close(self) -> None:
        """Accept no more connections."""
        shut(self._listener)  # otherwise the thread that accepts would keep it open
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._connected(client, server)


def shut(connection: socket.socket) -> None:
    """Shut down both directions of a connection, if it is not closed."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)

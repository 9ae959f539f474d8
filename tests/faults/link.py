"""The link between a machine and its server: a proxy that can be cut."""

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

State = Literal["open", "silent", "refused"]
"""`silent`: connections stay open, but nothing passes. `refused`: they are reset, and refused."""


class Link:
    """Passes the connections of one machine on to the socket of a server."""

    def __init__(self, folder: Path, server: Path) -> None:
        """folder: where the machine connects to. server: the folder of the server's socket."""
        folder.mkdir()
        self.folder = folder
        self._path, self._target = f"{folder}/.s.PGSQL.5432", f"{server}/.s.PGSQL.5432"
        self._passes = threading.Event()
        self._ends: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.open()

    def open(self) -> None:
        """Let everything pass."""
        self._passes.set()
        if self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(self._path)
            os.chmod(self._path, 0o777)
            self._listener.listen()
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def silence(self) -> None:
        """Let nothing pass; nobody notices it."""
        self._passes.clear()

    def refuse(self) -> None:
        """Reset all connections, and refuse new ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            os.unlink(self._path)
            _shut(listener)
        for end in self._ends:
            _shut(end)
        self._ends.clear()

    def close(self) -> None:
        """Reset all connections for good."""
        self.refuse()
        self._passes.set()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._ends += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._passes.wait()
                target.sendall(data)
        _shut(source)
        _shut(target)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()

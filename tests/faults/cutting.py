"""A proxy before a server that cuts connections inside COMMIT."""

import re
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Literal

from tests.faults.proxying import Proxy, shut

Cut = Literal["before", "on its way", "after"]
"""Where the COMMIT is when its sender loses the connection: never sent on, late, or done."""

CUTS: tuple[Cut, ...] = ("before", "on its way", "on its way", "after")

COMMIT = re.compile(rb"\bCOMMIT\b")


class CuttingProxy(Proxy):
    """Passes connections on to the socket of a server; it cuts those that `cut_next` chooses."""

    def __init__(self, folder: Path, server: Path, random: Random) -> None:
        """folder: where the proxy listens. server: the folder of the server's socket."""
        self._random = random
        self._next: Cut | None = None
        self._threads: list[threading.Thread] = []
        super().__init__(folder, server)

    def cut_next(self) -> Cut:
        """Cut the connection that sends the next COMMIT; return where the COMMIT will be then."""
        where = self._random.choice(CUTS)
        self._next = where
        return where

    def wait_for_late_commits(self) -> None:
        """Wait until each COMMIT that was on its way has been passed on."""
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _connected(self, client: socket.socket, server: socket.socket) -> None:
        for run in (self._requests, self._answers):
            threading.Thread(target=run, args=(client, server), daemon=True).start()

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        shut(client)

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self._next is not None and COMMIT.search(data):
                    where, self._next = self._next, None
                    self._cut(where, data, client, server)
                    return
                server.sendall(data)
        shut(server)

    def _cut(self, where: Cut, data: bytes, client: socket.socket, server: socket.socket) -> None:
        if where == "before":
            shut(client)
            shut(server)
        elif where == "after":
            client.shutdown(socket.SHUT_WR)  # the answer does not get through
            server.sendall(data)
            time.sleep(self._random.uniform(0, 0.01))
            shut(client)
            shut(server)
        else:
            late = threading.Thread(target=self._send_late, args=(data, server))
            self._threads.append(late)
            late.start()
            shut(client)

    def _send_late(self, data: bytes, server: socket.socket) -> None:
        time.sleep(self._random.uniform(0, 0.06))
        with suppress(OSError):
            server.sendall(data)
        shut(server)

"""Starts the dashboard in its own process for a test."""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.ctl import DEADLINE_S, Running

_PROGRAM = "import sys; from queuectl.dashboard.serve import serve; serve(sys.argv[1], {arguments})"


class Answer(NamedTuple):
    """The answer to a request."""

    status: int
    headers: dict[str, str]
    """The names are in lower case."""
    text: str


class Served:
    """A running dashboard."""

    def __init__(self, address: str, running: Running) -> None:
        self.address, self.running = address.rstrip("/"), running
        self.port = int(urlsplit(address).port or 0)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Send a request and return its answer; a `_` in a header's name becomes `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=sent)
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, received, answer.read().decode())
        finally:
            connection.close()

    @contextmanager
    def stream(self, path: str, **headers: str) -> Iterator[Iterator[str]]:
        """Open a stream of events; yields an iterator over its lines, as they arrive."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers=sent)
            answer = connection.getresponse()
            yield (line.decode().rstrip("\n") for line in iter(answer.readline, b""))
        finally:
            connection.close()


@contextmanager
def served(
    path: Path, arguments: str = "'127.0.0.1', 0", user: int | None = None
) -> Iterator[Served]:
    """Run the dashboard of the queue at `path` during the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(arguments=arguments), str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        user=user,
    )
    running = Running(process)
    try:
        address = running.says(" at http://").partition(" at ")[2].split(" ")[0]
        yield Served(address, running)
    finally:
        running.end()

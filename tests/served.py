"""The dashboard in a process of its own, as a test starts it."""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.ctl import Running

_PROGRAM = "import sys; from queuectl.dashboard.serve import serve; serve(sys.argv[1], {arguments})"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    """By name in lower case."""
    text: str


class Served:
    """A dashboard that listens."""

    def __init__(self, address: str, running: Running) -> None:
        self.address, self.running = address.rstrip("/"), running
        self.port = int(urlsplit(address).port or 0)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """One request; a header's `_` stands for `-`."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            line.request(method, path, headers=named)
            answer = line.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, told, answer.read().decode())
        finally:
            line.close()

    @contextmanager
    def stream(self, path: str, **headers: str) -> Iterator[Iterator[str]]:
        """The lines of a stream of events, as they come."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            line.request("GET", path, headers=named)
            answer = line.getresponse()
            yield (part.decode().rstrip("\n") for part in iter(answer.readline, b""))
        finally:
            line.close()


@contextmanager
def served(
    path: Path, arguments: str = "'127.0.0.1', 0", user: int | None = None
) -> Iterator[Served]:
    """The dashboard of the queue at `path`, for the length of the block."""
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

"""`queuectl` as users type it: real processes, with a queue file for each test."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, TypeVar

from tests.fork_server import Ended, Forked, ForkServer
from tests.places import file_of, new_place

PROGRAM = (sys.executable, "-m", "queuectl")
DEADLINE_S = 100.0
"""The longest wait for a fact; only a failing test takes so long, however slow the machine is."""
UNPOLLED_S = 20.0
"""A bound for what is announced: without the announcement a worker notices it after 30 s."""

T = TypeVar("T")


def until(check: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Call `check` every 10 ms until it returns a value, and return that.

    Only for facts that are not in the log, such as the end of a process. what: for the error.
    """
    end = time.monotonic() + deadline_s
    while (result := check()) is None:
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.01)
    return result


@dataclass(frozen=True)
class Result:
    """Exit code and output of a finished command."""

    code: int
    out: str
    err: str

    @cached_property
    def json(self) -> Any:
        """Its output as one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """Its output, line by line."""
        return self.out.splitlines()

    @property
    def jobs(self) -> list[str]:
        """The ids in the first column of its output, in the same order."""
        return [line.split("\t")[0] for line in self.lines]


class Running:
    """A command that runs during a test: a worker, a follower, a dashboard."""

    def __init__(self, process: "subprocess.Popen[str] | Forked") -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []
        self._grown = threading.Condition()
        self._readers = [self._read(process.stdout, self.out), self._read(process.stderr, self.err)]

    def _read(self, stream: IO[str], lines: list[str]) -> threading.Thread:
        def collect() -> None:
            with stream:
                for line in stream:
                    with self._grown:
                        lines.append(line.rstrip("\n"))
                        self._grown.notify_all()

        reader = threading.Thread(target=collect, daemon=True)
        reader.start()
        return reader

    @property
    def pid(self) -> int:
        """Pid of the process that was started."""
        return self.process.pid

    def line(self, matches: Callable[[str], bool], deadline_s: float = DEADLINE_S) -> str:
        """Wait for a matching line on stdout or stderr, and return the first one."""

        def matching() -> list[str]:
            return [line for line in (*self.out, *self.err) if matches(line)]

        with self._grown:
            assert self._grown.wait_for(matching, deadline_s), f"only {self.out} {self.err}"
            return matching()[0]

    def says(self, text: str, deadline_s: float = DEADLINE_S) -> str:
        """Wait for a line that contains `text`, and return the first one."""
        return self.line(lambda line: text in line, deadline_s)

    def kill(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to this process only."""
        self.process.send_signal(number)

    def ends(self, deadline_s: float = DEADLINE_S) -> Result:
        """Wait for its end and return its result."""
        code = self.process.wait(deadline_s)
        for reader in self._readers:
            reader.join(deadline_s)
        return Result(code, "\n".join(self.out), "\n".join(self.err))

    def end(self) -> Result:
        """Stop it like a user: SIGINT, SIGINT again, then SIGKILL.

        The first one lets a worker finish its jobs, which is not worth a wait.
        """
        for number, patience_s in ((signal.SIGINT, 0.2), (signal.SIGINT, 5), (signal.SIGKILL, 5)):
            if self.process.poll() is None:
                self.kill(number)
                try:
                    self.process.wait(patience_s)
                except subprocess.TimeoutExpired:
                    continue
        return self.ends()


@contextmanager
def _running(running: Running) -> Iterator[Running]:
    try:
        yield running
    finally:
        running.end()


_servers: list[ForkServer] = []


def server() -> ForkServer:
    """Return the fork server of this process; it is started when it is first needed."""
    if not _servers or not _servers[-1].lives():
        _servers.append(ForkServer())
    return _servers[-1]


def _forked(
    words: Sequence[str], folder: Path, env: Mapping[str, str], stdin: bytes, deadline_s: float
) -> Ended:
    return server().run(words, str(folder), env, stdin, deadline_s)


def _executed(
    words: Sequence[str], folder: Path, env: Mapping[str, str], stdin: bytes, deadline_s: float
) -> Ended:
    done = subprocess.run(
        [*PROGRAM, *words],
        input=stdin,
        capture_output=True,
        cwd=folder,
        env=env,
        timeout=deadline_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Ctl:
    """`queuectl` with a queue of its own, and its working directory in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "queue.db"
        self.place = new_place(self._file)
        outside = {key: text for key, text in os.environ.items() if not key.startswith("QUEUECTL_")}
        self.env = {
            **outside,
            "QUEUECTL_DB": self.place,
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }

    @property
    def db(self) -> Path:
        """The path of the queue file. Skips the test if the queue is on a server."""
        return file_of(self._file)

    @db.setter
    def db(self, path: Path) -> None:
        self._file = path

    def __call__(
        self,
        *words: str,
        code: int | None = 0,
        stdin: str | bytes = b"",
        env: Mapping[str, str] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> Result:
        """Run `queuectl WORDS` and return its result.

        Fails the test if its exit code is not `code`; None accepts any.
        """
        environment = {**self.env, **(env or {})}
        data = stdin.encode() if isinstance(stdin, str) else stdin
        run = _forked if server().serves(words, environment) else _executed
        ended = run(words, self.folder, environment, data, deadline_s)
        result = Result(ended.code, ended.out.decode(), ended.err.decode())
        assert code is None or result.code == code, f"{words}: {result}"
        return result

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> Running:
        """Start `queuectl WORDS`; the test must end it."""
        environment = {**self.env, **(env or {})}
        if server().serves(words, environment):
            return Running(server().start(words, str(self.folder), environment))
        return self._start([*PROGRAM, *words], env or {})

    def executed(self, *words: str) -> AbstractContextManager[Running]:
        """Run `queuectl WORDS` during the block, in a new process with its own command line."""
        return _running(self._start([*PROGRAM, *words], {}))

    def start_python(self, program: str, *words: str) -> Running:
        """Start a Python program that uses the queue through the API; the test must end it."""
        return self._start([sys.executable, "-c", program, *words], {})

    def _start(self, argv: list[str], env: Mapping[str, str]) -> Running:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            cwd=self.folder,
            env={**self.env, **env},
        )
        return Running(process)

    def running(
        self, *words: str, env: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Running]:
        """Run `queuectl WORDS` during the block."""
        return _running(self.start(*words, env=env))

    def worker(self, *words: str) -> AbstractContextManager[Running]:
        """Run `worker start WORDS` during the block."""
        return self.running("worker", "start", *words)

    def drain(self, *words: str) -> Result:
        """Run a worker until the queue is empty, and return its result."""
        return self("worker", "start", "--until-empty", *words)

    def enqueue(self, command: str, **options: Any) -> str:
        """Enqueue a job and return its id. options: JSON keys."""
        return self("enqueue", json.dumps({"command": command, **options})).out.strip()

    def dead_job(self) -> str:
        """Enqueue a job that ends in the dead-letter queue, and return its id."""
        job = self.enqueue("exit 3", max_retries=0)
        self.drain()
        return job

    def show(self, job: str) -> Any:
        """Return the job as `show --json` prints it."""
        return self("show", job, "--json").json["job"]

    def history(self, job: str) -> list[dict[str, Any]]:
        """Return the job's events as `history --json` prints them."""
        events: list[dict[str, Any]] = self("history", job, "--json").json["events"]
        return events

    def event_types(self, job: str) -> list[str]:
        """Return the types of the job's events, in order."""
        return [event["type"] for event in self.history(job)]

    def wait_for(
        self, job: str, event_type: str, deadline_s: float = DEADLINE_S, **data: Any
    ) -> dict[str, Any]:
        """Wait for an event of the job with this type and data, and return the first one."""

        def matches(line: str) -> bool:
            event = json.loads(line)
            return bool(event["type"] == event_type and data.items() <= event["data"].items())

        with self.running("events", "--stream", job, "--since", "@0", "--jsonl", "-f") as feed:
            match: dict[str, Any] = json.loads(feed.line(matches, deadline_s))
            return match

"""The program as a test types it: real processes, and a queue file of the test's own."""

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

PROGRAM = (sys.executable, "-m", "queuectl")
DEADLINE_S = 30.0

T = TypeVar("T")


def until(look: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
    """What `look` finds, asked again and again; for what no log tells: a process that is gone."""
    end = time.monotonic() + deadline_s
    while (found := look()) is None:
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.01)
    return found


@dataclass(frozen=True)
class Result:
    """What a finished command left."""

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
        """The ids in the first column of its output, in its order."""
        return [line.split("\t")[0] for line in self.lines]


class Running:
    """A command that goes on while the test looks: a worker, a follower, a dashboard."""

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
        """Of the process that was started."""
        return self.process.pid

    def line(self, wanted: Callable[[str], bool], deadline_s: float = DEADLINE_S) -> str:
        """The first line, of either stream, that is wanted; waits until it is printed."""

        def found() -> list[str]:
            return [line for line in (*self.out, *self.err) if wanted(line)]

        with self._grown:
            assert self._grown.wait_for(found, deadline_s), f"only {self.out} {self.err}"
            return found()[0]

    def says(self, text: str, deadline_s: float = DEADLINE_S) -> str:
        """The first line that holds `text`; waits until it is printed."""
        return self.line(lambda line: text in line, deadline_s)

    def kill(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to that process alone."""
        self.process.send_signal(number)

    def ends(self, deadline_s: float = DEADLINE_S) -> Result:
        """What it left, once it has ended."""
        code = self.process.wait(deadline_s)
        for reader in self._readers:
            reader.join(deadline_s)
        return Result(code, "\n".join(self.out), "\n".join(self.err))

    def end(self) -> Result:
        """Stop it as a person would: Ctrl-C, again, and then for good."""
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
            if self.process.poll() is None:
                self.kill(number)
                try:
                    self.process.wait(5)
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
    """The fork server of this process, started when it is first needed."""
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
    """`queuectl` with its queue in `folder`, and its working directory there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = folder / "queue.db"
        outside = {key: text for key, text in os.environ.items() if not key.startswith("QUEUECTL_")}
        self.env = {
            **outside,
            "QUEUECTL_DB": str(self.db),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }

    def __call__(
        self,
        *words: str,
        code: int | None = 0,
        stdin: str | bytes = b"",
        env: Mapping[str, str] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> Result:
        """The result of `queuectl WORDS`; fails the test if its exit code is not `code`."""
        environment = {**self.env, **(env or {})}
        data = stdin.encode() if isinstance(stdin, str) else stdin
        run = _forked if server().serves(words, environment) else _executed
        ended = run(words, self.folder, environment, data, deadline_s)
        result = Result(ended.code, ended.out.decode(), ended.err.decode())
        assert code is None or result.code == code, f"{words}: {result}"
        return result

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> Running:
        """`queuectl WORDS`, running; the test ends it."""
        environment = {**self.env, **(env or {})}
        if server().serves(words, environment):
            return Running(server().start(words, str(self.folder), environment))
        return self._start([*PROGRAM, *words], env or {})

    def executed(self, *words: str) -> AbstractContextManager[Running]:
        """`queuectl WORDS` for the length of the block, under a command line of its own."""
        return _running(self._start([*PROGRAM, *words], {}))

    def start_python(self, program: str, *words: str) -> Running:
        """A Python program that uses the queue as the API does, running; the test ends it."""
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
        """`queuectl WORDS` for the length of the block."""
        return _running(self.start(*words, env=env))

    def worker(self, *words: str) -> AbstractContextManager[Running]:
        """`worker start WORDS` for the length of the block."""
        return self.running("worker", "start", *words)

    def drain(self, *words: str) -> Result:
        """What a worker left that ran until there was nothing more to do."""
        return self("worker", "start", "--until-empty", *words)

    def enqueue(self, command: str, **options: Any) -> str:
        """The id of a new job; options as JSON keys."""
        return self("enqueue", json.dumps({"command": command, **options})).out.strip()

    def dead_job(self) -> str:
        """A job that has failed for good."""
        job = self.enqueue("exit 3", max_retries=0)
        self.drain()
        return job

    def show(self, job: str) -> Any:
        """The job as `show --json` has it."""
        return self("show", job, "--json").json["job"]

    def history(self, job: str) -> list[dict[str, Any]]:
        """The job's events as `history --json` has them."""
        events: list[dict[str, Any]] = self("history", job, "--json").json["events"]
        return events

    def told(self, job: str) -> list[str]:
        """The types of the job's events, in order."""
        return [event["type"] for event in self.history(job)]

    def wait_for(
        self, job: str, event_type: str, deadline_s: float = DEADLINE_S, **data: Any
    ) -> dict[str, Any]:
        """The first event of that type with that data, of the job; waits until the log has it."""

        def wanted(line: str) -> bool:
            event = json.loads(line)
            return bool(event["type"] == event_type and data.items() <= event["data"].items())

        with self.running("events", "--stream", job, "--since", "@0", "--jsonl", "-f") as feed:
            found: dict[str, Any] = json.loads(feed.line(wanted, deadline_s))
            return found

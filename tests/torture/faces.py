"""The fuzzer of the two user interfaces: the command line and the dashboard."""

import contextlib
import io
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from unittest import mock

import click
from flask.testing import FlaskClient

from queuectl import Queue
from queuectl.cli.main import main, root
from queuectl.core.snapshot import Reading
from queuectl.dashboard.app import create_app
from queuectl.escape import visible
from tests.torture import drawing

from .targets import KEYS, Broken

FRESH_EVERY = 3_000
"""Number of inputs after which the queue is created again, so that no list grows long."""
CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 130}
WORDS = (
    *("1", "2", "last", "1-9", "-", "x", "0", "99999999999999999999", "@1", "@0", "5m", "now"),
    *("default", "K=V", "jitter", "max-retries", "0.5", "dead", "pending", "2h-ago", "--", "true"),
    *("", "$config", "$context", "$worker:1", "$x", "=", "-1", "nope", "@", "1-", "2-1", "00"),
    *("--all", "--yes", "--json", "--jsonl", "--dry-run", "--file", "copy.db", "jobs.json", "-f"),
)
PAGES = (
    *("/", "/jobs", "/dlq", "/workers", "/events", "/jobs/1", "/jobs/x", "/jobs/1/output/1"),
    *("/status.json", "/jobs.json", "/dlq.json", "/workers.json", "/events.json", "/jobs/1.json"),
    "/stream",
)
PARAMETERS = (
    "state",
    "queue",
    "tag",
    "q",
    "before",
    "limit",
    "stream",
    "type",
    "attempt",
    "from",
    "job",
)
FIELD = re.compile(r' value="[^"]*"')
"""A value in a form field: user input that the page repeats unchanged."""
STATUSES = {200, 303, 308, 400, 401, 403, 404, 405, 414, 431}


class Faces:
    """A queue in its own folder, and both user interfaces of it in this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tried = 0
        self._commands = [path.split()[1:] for path in _walk(root, "queuectl")]
        self._queue, self._client = self._fresh()

    def close(self) -> None:
        """Close the queue."""
        self._client.application.extensions["log_watcher"].close()
        self._queue.close()

    def command_line(self, draw: Random) -> tuple[object, Broken]:
        """Try typed words: a documented exit code; a refusal is one line and changes nothing."""
        if self._tried >= FRESH_EVERY:
            self.close()
            self._queue, self._client = self._fresh()
        self._tried += 1
        words, stdin = self._words(draw), drawing.jobs(draw, KEYS)
        before = self._queue.store.head()
        code, err = _run(words, stdin)
        if code not in CODES:
            return (words, stdin), f"exit {code}"
        if code > 1 and self._queue.store.head() != before:
            return (words, stdin), f"exit {code}, but the log has grown"
        if visible(err, keep="\n") != err:
            return (words, stdin), f"control characters on stderr: {err[:200]!r}"
        if 1 < code < 9 and not _is_one_line(err):
            return (words, stdin), f"exit {code} with {err[:300]!r}"
        return (words, stdin), None

    def dashboard(self, draw: Random) -> tuple[object, Broken]:
        """Try an address: a page or a refusal, with the policy, without control characters."""
        address = draw.choice(PAGES) if draw.random() < 0.8 else f"/{drawing.text(draw)[:200]}"
        parameters = [(draw.choice(PARAMETERS), _parameter(draw)) for _ in range(draw.randrange(4))]
        headers = {"Last-Event-ID": _parameter(draw)[:50]} if draw.random() < 0.2 else {}
        tried = (address, parameters, headers)
        safe = {name: text for name, text in headers.items() if text.isprintable()}
        answer = self._client.get(
            query_string=dict(parameters),
            headers=_latin(safe),
            environ_overrides={"PATH_INFO": address.encode().decode("latin-1")},
            buffered=False,
        )
        try:
            if answer.status_code not in STATUSES:
                return tried, f"status {answer.status_code}"
            if "default-src 'none'" not in answer.headers.get("Content-Security-Policy", ""):
                return tried, "without the policy"
            page = FIELD.sub("", answer.text) if answer.mimetype == "text/html" else ""
            if visible(page, "\n\t\r") != page:
                return tried, "control characters in the page"
        finally:
            answer.close()
        return tried, None

    def _words(self, draw: Random) -> list[str]:
        """Return a subcommand with random words; none leaves the folder or waits forever."""
        words = list(draw.choice(self._commands))
        known = [name for name in _options(words) if name not in ("--file", "--watch")]
        for _ in range(draw.randrange(6)):
            kind = draw.random()
            if kind < 0.35 and known:
                words.append(draw.choice(known))
            elif kind < 0.75:
                words.append(draw.choice(WORDS))
            else:
                words.append(drawing.text(draw)[:2_000].replace("/", "_").replace("\0", "0"))
        if draw.random() < 0.1:
            words[:0] = ["--db", draw.choice(("queue.db", "nope.db", "nope/x.db", ".", "text"))]
        return words

    def _fresh(self) -> tuple[Queue, FlaskClient]:
        self._tried = 0
        for path in self._folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (self._folder / "text").write_text("no queue")
        (self._folder / "jobs.json").write_text('{"command": "true"}')
        path = self._folder / "queue.db"
        queue = Queue(path)
        for text in drawing.HOSTILE[::20]:
            queue.enqueue(text, tags={"K": "V"}, name=text[:900])
        app = create_app(str(path))
        app.config.update(PROPAGATE_EXCEPTIONS=True)
        return queue, app.test_client()


def _walk(command: click.Command, path: str) -> Iterator[str]:
    yield path
    if isinstance(command, click.Group):
        with click.Context(command) as ctx:
            for name in command.list_commands(ctx):
                subcommand = command.get_command(ctx, name)
                assert subcommand is not None
                yield from _walk(subcommand, f"{path} {name}")


def _options(words: list[str]) -> list[str]:
    command: click.Command = root
    for word in words:
        assert isinstance(command, click.Group)
        subcommand = command.get_command(click.Context(command), word)
        assert subcommand is not None
        command = subcommand
    return [name for parameter in command.params for name in parameter.opts if name.startswith("-")]


def _parameter(draw: Random) -> str:
    return draw.choice(
        (drawing.text(draw)[:500], "1", "dead", "K=V", str(draw.choice(drawing.EDGES)))
    )


def _latin(headers: dict[str, str]) -> dict[str, str]:
    return {
        name: text.encode("latin-1", "replace").decode("latin-1") for name, text in headers.items()
    }


def _is_one_line(err: str) -> bool:
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    return err.startswith("Usage:") or (len(errors) == 1 and err.splitlines()[-1] == errors[0])


def _run(words: list[str], stdin: bytes) -> tuple[int, str]:
    """Return exit code and stderr of `queuectl WORDS`, run in this process."""
    input_ = io.TextIOWrapper(io.BytesIO(stdin))
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    ours = os.dup(1)  # a program whose output fails closes it
    try:
        with mock.patch.multiple(sys, stdin=input_, stdout=out, stderr=err):
            code = main(words)
    finally:
        os.dup2(ours, 1)
        os.close(ours)
    return code, err.buffer.getvalue().decode()


_await_more = Reading.await_more


def _never_wait(reading: Reading, timeout_s: float | None = None) -> bool:
    """Raise KeyboardInterrupt instead of waiting for new events, as Ctrl-C does."""
    if threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
    return _await_more(reading, timeout_s)


@contextlib.contextmanager
def faces() -> Iterator[Faces]:
    """Create both interfaces in a temporary folder, without waits, workers and servers."""
    folder = Path(mkdtemp(prefix="queuectl-fuzz-"))
    environment = {**os.environ, "QUEUECTL_DB": str(folder / "queue.db"), "NO_COLOR": "1"}
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(Reading, "await_more", _never_wait),
        mock.patch("queuectl.worker.start.run_worker", return_value=0),
        mock.patch("queuectl.dashboard.serve.serve", return_value=None),
        mock.patch("webbrowser.open", return_value=True),
    ):
        made = Faces(folder)
        try:
            yield made
        finally:
            made.close()
            shutil.rmtree(folder)

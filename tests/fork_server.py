"""Runs commands in forks of a process that has imported the program: ten times faster.

A new `python -m queuectl` spends nine tenths of its time on imports. The server imports once; for
each command it forks, sets the command's directory, environment, umask and standard streams, and
calls the program. Tests of the program's start execute it instead.
"""

import gc
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

PROJECT = Path(__file__).parents[1]
PACKAGES = ("eventstore", "projections", "queuectl")
FOR_A_START = ("LD_", "PYTHON", "LANG", "LC_", "COVERAGE_")
"""Prefixes of variables that take effect only when Python starts."""
MESSAGE_BYTES = 1 << 20


class Ended(NamedTuple):
    """Exit code (negative: the signal that ended it) and output of a command."""

    code: int
    out: bytes
    err: bytes


class ForkServer:
    """The client's side: one server process, which ends when its client does."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._environment = dict(os.environ)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MESSAGE_BYTES)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
            cwd=PROJECT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

    def lives(self) -> bool:
        """Return True if it is still running: tests of the keeper end all child processes."""
        return self._process.poll() is None

    def serves(self, words: Sequence[str], env: Mapping[str, str]) -> bool:
        """Return True if a fork behaves like a new process, with these words and environment."""
        if os.getpid() != self._owner or "COVERAGE_PROCESS_CONFIG" in os.environ:
            return False
        if sum(map(len, words)) + sum(map(len, env.values())) > MESSAGE_BYTES // 4:
            return False
        changed = env.items() ^ self._environment.items()
        return not any(name.startswith(FOR_A_START) for name, _ in changed if name != "PYTHONPATH")

    def run(
        self,
        words: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        stdin: bytes,
        deadline_s: float,
    ) -> Ended:
        """Run `queuectl WORDS` to its end. Raises TimeoutExpired after `deadline_s` seconds."""
        in_read, in_write = os.pipe()
        pid, answer, outputs = self._fork(words, cwd, env, in_read)
        with answer, answer.makefile("rb") as lines:
            out, err = _communicate(pid, in_write, stdin, outputs, words, deadline_s)
            return Ended(int(lines.readline()), out, err)

    def start(self, words: Sequence[str], cwd: str, env: Mapping[str, str]) -> "Forked":
        """Start `queuectl WORDS` with an empty standard input."""
        pid, answer, outputs = self._fork(words, cwd, env, os.open(os.devnull, os.O_RDONLY))
        return Forked(words, pid, answer, outputs)

    def _fork(
        self, words: Sequence[str], cwd: str, env: Mapping[str, str], stdin: int
    ) -> tuple[int, socket.socket, list[int]]:
        """Return its pid, the socket that will report its exit code, and both its outputs.

        stdin: a descriptor, which is closed here.
        """
        umask = os.umask(0)
        os.umask(umask)
        order = json.dumps({"words": list(words), "cwd": cwd, "env": dict(env), "umask": umask})
        answer, theirs = socket.socketpair()
        (out_read, out_write), (err_read, err_write) = os.pipe(), os.pipe()
        descriptors = [stdin, out_write, err_write, theirs.fileno()]
        socket.send_fds(self._socket, [order.encode(errors="surrogateescape")], descriptors)
        for descriptor in descriptors[:3]:
            os.close(descriptor)
        theirs.close()
        pid = b""
        while not pid.endswith(b"\n"):
            if not (digit := answer.recv(1)):
                raise OSError("the machine refused a process to the fork server")
            pid += digit
        return int(pid), answer, [out_read, err_read]


class Forked:
    """A command that runs in a fork, with the methods of `subprocess.Popen` that tests need."""

    def __init__(
        self, words: Sequence[str], pid: int, answer: socket.socket, outputs: list[int]
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout, self.stderr = (os.fdopen(end, errors="surrogateescape") for end in outputs)
        self._words, self._answer = words, answer

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code. Raises TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self._answer], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(list(self._words), timeout or 0)
            with self._answer:
                self.returncode = int(self._answer.recv(64))
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        with suppress(ProcessLookupError):  # it may end after it was polled
            if self.poll() is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send it SIGKILL, if it still runs."""
        self.send_signal(signal.SIGKILL)


def _communicate(
    pid: int,
    in_write: int,
    stdin: bytes,
    reading: list[int],
    words: Sequence[str],
    deadline_s: float,
) -> list[bytes]:
    """Write `stdin` and read both outputs until all processes have closed them."""
    end = time.monotonic() + deadline_s
    texts: dict[int, bytearray] = {descriptor: bytearray() for descriptor in reading}
    os.set_blocking(in_write, False)
    with selectors.DefaultSelector() as selector:
        selector.register(in_write, selectors.EVENT_WRITE)
        for descriptor in reading:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0, end - time.monotonic()))
            if not ready:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(words), deadline_s)
            for key, _ in ready:
                if key.fd == in_write:
                    stdin, open_ = _written(in_write, stdin)
                else:
                    part = os.read(key.fd, 1 << 16)
                    texts[key.fd] += part
                    open_ = bool(part)
                if not open_:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return [bytes(texts[descriptor]) for descriptor in reading]


def _written(descriptor: int, data: bytes) -> tuple[bytes, bool]:
    """Write; return the rest of the data, and True if there is a rest and still a reader."""
    try:
        data = data[os.write(descriptor, data) :] if data else data
    except BrokenPipeError:
        return b"", False
    return data, bool(data)


def serve(control: socket.socket) -> None:
    """Fork for each request, and report the exit code of each fork, until the client ends."""
    _import_all()
    gc.collect()
    gc.freeze()
    answers: dict[int, socket.socket] = {}
    wake_read, wake_write = socket.socketpair()
    wake_write.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which end this server
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is wake_read:
                    wake_read.recv(1024)
                    _report(answers)
                    continue
                message, descriptors, *_ = socket.recv_fds(control, MESSAGE_BYTES, 4)
                if not message:
                    return
                pid = os.fork()
                if pid == 0:
                    _become(json.loads(message), descriptors)
                answer = socket.socket(fileno=descriptors[3])
                for descriptor in descriptors[:3]:
                    os.close(descriptor)
                answer.sendall(b"%d\n" % pid)
                answers[pid] = answer


def _import_all() -> None:
    for name in PACKAGES:
        package = import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)


def _report(answers: dict[int, socket.socket]) -> None:
    while answers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with answers.pop(pid) as answer, suppress(BrokenPipeError):  # a client that gave up waiting
            answer.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(order: dict[str, Any], descriptors: list[int]) -> None:
    """Behave like a process that has just been started with `order`; does not return."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, number)
        os.closerange(3, max(descriptors) + 64)
        os.umask(order["umask"])
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        time.tzset()
        _renew_streams()
        sys.argv = ["queuectl", *order["words"]]
        program = import_module("queuectl.entry").program
        program()
    finally:
        os._exit(70)  # `program` does not return: only an error of this file leads here


def _renew_streams() -> None:
    """Replace the stream objects by new ones, as Python creates them at its start."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        old = getattr(sys, f"__{name}__")
        assert isinstance(old, TextIOWrapper)
        new = open(  # noqa: SIM115
            old.fileno(),
            mode,
            encoding=old.encoding,
            errors=old.errors,
            closefd=False,
            buffering=1 if name == "stderr" else -1,
        )
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))

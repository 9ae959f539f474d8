"""The program that a job starts, and the reasons why a start fails: for all ways of starting."""

import errno
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from eventstore.events.job import FailureReason

from . import shell_free
from .path_search import find_program
from .process_mark import VARIABLE, Mark

OUT_OF_PROCESSES = "the machine is out of processes"
EXHAUSTED = {
    errno.EAGAIN: OUT_OF_PROCESSES,
    errno.ENOMEM: "the machine is out of memory",
    errno.EMFILE: "the worker is out of file descriptors",
    errno.ENFILE: "the machine is out of file descriptors",
}
REASONS: dict[int, FailureReason] = {
    errno.ENOENT: "not-found",
    errno.ENOTDIR: "not-found",
    errno.ENAMETOOLONG: "not-found",
    errno.EACCES: "not-executable",
    errno.ENOEXEC: "not-executable",
    errno.EISDIR: "not-executable",
}


class Order(NamedTuple):
    """A command to start, with its directory and environment."""

    command: str
    argv: tuple[str, ...] | None
    """An argument list, executed without a shell; None for `sh -c command`."""
    cwd: str
    env: Mapping[str, str]
    """Variables added to the worker's environment; PATH is searched for the program."""
    mark: Mark

    @property
    def words(self) -> Sequence[str]:
        """The arguments of the program to execute, its name first."""
        return self.argv or ("sh", "-c", self.command)

    @property
    def program(self) -> str:
        """The name or path of the program to execute."""
        return self.argv[0] if self.argv else shell_free.SHELL

    @property
    def search_path(self) -> str:
        """The PATH in which to search for the program."""
        return self.env.get("PATH", os.defpath)

    def variables(self) -> dict[bytes, bytes]:
        """Return the variables to add to the environment, including the cookie of its mark."""
        variables = {name.encode(): value.encode() for name, value in self.env.items()}
        variables[VARIABLE.encode()] = self.mark.cookie.encode()
        return variables


class NotStarted(NamedTuple):
    """A failure of the job, such as a missing program: the attempt has failed."""

    reason: FailureReason
    error: str


class Exhausted(NamedTuple):
    """A temporary lack of resources of the machine. The job has not failed; try it again later."""

    error: str


def not_entered(order: Order, error: OSError) -> NotStarted:
    """Return the failure of a job whose directory cannot be entered."""
    return NotStarted("no-directory", f"{order.cwd}: {error.strerror}")


def not_found(order: Order) -> NotStarted:
    """Return the failure of a job whose program is not in its PATH."""
    return NotStarted("not-found", f"{order.program}: command not found")


def start_failure(error: OSError, order: Order) -> NotStarted | Exhausted:
    """Return why a program was not executed: a failure of the job, or a lack of resources."""
    number = error.errno or 0
    if number in EXHAUSTED:
        return Exhausted(EXHAUSTED[number])
    if number == errno.E2BIG:
        return NotStarted(
            "launch", "argument list too long: its arguments and environment together"
        )
    reason = REASONS.get(number, "launch")
    message = f"{order.program}: {os.strerror(number)}"
    path = find_program(order.program, order.search_path)
    if reason == "not-found" and os.path.exists(path or b""):
        return NotStarted(reason, f"{message}: the interpreter in its first line")
    return NotStarted(reason, message)

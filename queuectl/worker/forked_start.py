"""Starting an attempt in a forked child that may hang before its program runs.

posix_spawn makes its caller wait until the program runs, so a directory or program on a dead mount
would block the whole worker. A forked child hangs alone, and is killed like any other process.
See docs/decisions/0012.
"""

import os
import resource
import signal
from collections.abc import Callable
from typing import NoReturn

CATCHABLE = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
REPORT = 3
"""The descriptor on which the child reports why its program was not started."""
LONGEST_REPORT = 4_096


def fork(standard: tuple[int, int, int], execute: Callable[[], bytes]) -> tuple[int, int]:
    """Fork a child, leader of its own session, that calls `execute` to become its program.

    standard: its descriptors 0, 1 and 2. execute: returns only on failure, with the reason. Return
    the child's pid and the read end of a pipe with that reason. Raises OSError if fork fails.
    """
    read, write = os.pipe()
    try:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, CATCHABLE)
        try:
            pid = os.fork()
            if pid == 0:
                _become(standard, write, execute)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)
    return pid, read


def report(pipe: int) -> bytes:
    """Return the reason that an ended child wrote to `pipe`; empty if its program was started."""
    try:
        return os.read(pipe, LONGEST_REPORT)
    finally:
        os.close(pipe)


def _become(standard: tuple[int, int, int], pipe: int, execute: Callable[[], bytes]) -> NoReturn:
    """In the child: close the descriptors of the worker, such as its locks, then execute."""
    try:
        signal.set_wakeup_fd(-1)
        os.setsid()
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
        os.dup2(pipe, REPORT, inheritable=False)
        os.closerange(REPORT + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        for number in CATCHABLE:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.write(REPORT, execute()[:LONGEST_REPORT])
    finally:
        os._exit(127)

"""Threads to which no signals are delivered: the main thread handles all of them."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def without_signals() -> Iterator[None]:
    """Block all signals in the threads that are started in this block: they inherit the mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_thread(run: Callable[[], None], name: str) -> threading.Thread:
    """Start a thread to which no signals are delivered, and which does not keep the process alive.

    Raises RuntimeError if the machine refuses one.
    """
    thread = threading.Thread(target=run, name=name, daemon=True)
    with without_signals():
        thread.start()
    return thread

"""Waking other processes when the log has grown: one FIFO per listener, rung after each commit."""

import errno
import os
import stat
import sys
import time
from collections.abc import Callable

from ..errors import StoreError

TRIES, PAUSE_S = 5, 0.01
"""How often to try to create a removed bell again, and the pause between two tries."""

IN_ATTRIB = 0x4
"""The event of Linux's inotify for a changed attribute of a file."""

# A listener opens its FIFO for reading and writing, so that it gets no end of file when a writer of
# the log closes the FIFO. If a writer gets ENXIO (no reader), the listener has ended.
_LISTEN = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_RING = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class SqliteDoorbell:
    """A listener's bell: `fileno()` is readable once the log may have grown since `drain()`."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._name = f"{os.getpid()}-{os.urandom(4).hex()}"
        # Writers skip names that begin with a dot, so that none removes the bell before it is open.
        os.mkfifo(f".{self._name}", 0o600, dir_fd=folder)
        self._descriptor = os.open(f".{self._name}", _LISTEN, dir_fd=folder)
        os.rename(f".{self._name}", self._name, src_dir_fd=folder, dst_dir_fd=folder)

    def fileno(self) -> int:
        """Return the descriptor to select on for reading."""
        return self._descriptor

    def is_in(self, folder: int) -> bool:
        """Return True if the FIFO is still in `folder`, so that writers find it."""
        try:
            named = os.stat(self._name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return False
        opened = os.fstat(self._descriptor)
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)

    def drain(self) -> None:
        """Discard all rings so far. Read the log after this call, never before."""
        try:
            while len(os.read(self._descriptor, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Remove the bell."""
        try:
            os.unlink(self._name, dir_fd=self._folder)
        except FileNotFoundError:
            pass
        os.close(self._descriptor)


class SqliteGuardedDoorbell:
    """A bell that is created again when it is removed, such as by a program that cleans up folders.

    folder: returns a descriptor of the folder of bells, which it creates if it is missing.
    """

    def __init__(self, folder: Callable[[], int]) -> None:
        from selectors import DefaultSelector

        self._folder = folder
        self._selector = DefaultSelector()
        self._bell, self._watch = self._create()

    def fileno(self) -> int:
        """Return a descriptor: readable when the log may have grown, or the bell was removed."""
        descriptor = self._selector.fileno()
        assert isinstance(descriptor, int)
        return descriptor

    def drain(self) -> None:
        """Discard all rings so far. Read the log after this call, never before."""
        self._bell.drain()
        if self._watch is not None:
            try:
                os.read(self._watch, 4096)
            except BlockingIOError:
                return
        self.check()

    def check(self) -> None:
        """Create the bell again if it is missing. If that fails, the next check tries again.

        This is tried several times: a program that removes the folder may still be running, and may
        remove the new bell before it is watched.
        """
        for _ in range(TRIES):
            try:
                if self._bell.is_in(self._folder()):
                    return
                removed, watch = self._bell, self._watch
                self._bell, self._watch = self._create()
            except (StoreError, OSError):
                time.sleep(PAUSE_S)
                continue
            self._dispose(removed, watch)

    def close(self) -> None:
        """Remove the bell."""
        self._dispose(self._bell, self._watch)
        self._selector.close()

    def _create(self) -> tuple[SqliteDoorbell, int | None]:
        bell = SqliteDoorbell(self._folder())
        from selectors import EVENT_READ

        watch = _watch_names(bell.fileno())
        for source in (bell.fileno(), watch):
            if source is not None:
                self._selector.register(source, EVENT_READ)
        return bell, watch

    def _dispose(self, bell: SqliteDoorbell, watch: int | None) -> None:
        self._selector.unregister(bell.fileno())
        bell.close()
        if watch is not None:
            self._selector.unregister(watch)
            os.close(watch)


def _watch_names(descriptor: int) -> int | None:
    """Return a descriptor that becomes readable when a name of an open file is removed.

    None if the system has no inotify, or no watch is free. Removing a name changes the number of
    links, which is an attribute of the file (IN_ATTRIB).
    """
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watch < 0:
        return None
    if libc.inotify_add_watch(watch, f"/proc/self/fd/{descriptor}".encode(), IN_ATTRIB) < 0:
        os.close(watch)
        return None
    assert isinstance(watch, int)
    return watch


def ring(folder: int) -> None:
    """Ring every bell in `folder`, and remove bells whose listener has ended.

    Never fails: the commit is done already, and listeners also read the log regularly.
    """
    try:
        names = os.listdir(folder)
    except OSError:  # out of descriptors
        return
    for name in names:
        if not name.startswith("."):
            _ring_one(folder, name)


def _ring_one(folder: int, name: str) -> None:
    try:
        descriptor = os.open(name, _RING, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ENXIO:  # the listener has ended
            _remove(folder, name)
        return
    try:
        os.write(descriptor, b"!")
    except BlockingIOError:  # full: it is ringing already
        pass
    except BrokenPipeError:  # the listener has just ended
        pass
    finally:
        os.close(descriptor)


def _remove(folder: int, name: str) -> None:
    try:
        if stat.S_ISFIFO(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass

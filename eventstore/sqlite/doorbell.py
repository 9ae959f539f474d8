"""Waking others when the log has grown: a FIFO for each listener, rung after every commit."""

import errno
import os
import stat
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ..errors import StoreError

TRIES, PAUSE_S = 5, 0.01
"""Of hanging a bell again."""

IN_ATTRIB = 0x4
"""Linux's inotify: an attribute of the file has changed."""

# A listener opens its FIFO for reading and writing: then it never sees an end of file when a
# ringer leaves. A ringer that finds no reader (ENXIO) knows that the listener is gone.
_LISTEN = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_RING = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class SqliteDoorbell:
    """A listener's bell: `fileno` is readable once the log may have grown since `drain`."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._name = f"{os.getpid()}-{os.urandom(4).hex()}"
        # Ringers pass over names with a dot, so that none takes it for dead before it is open.
        os.mkfifo(f".{self._name}", 0o600, dir_fd=folder)
        self._descriptor = os.open(f".{self._name}", _LISTEN, dir_fd=folder)
        os.rename(f".{self._name}", self._name, src_dir_fd=folder, dst_dir_fd=folder)

    def fileno(self) -> int:
        """What to select on for reading."""
        return self._descriptor

    def hangs(self, folder: int) -> bool:
        """Whether it stands in `folder`, where writers look for it."""
        try:
            named = os.stat(self._name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return False
        opened = os.fstat(self._descriptor)
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)

    def drain(self) -> None:
        """Take in all rings so far; read the log after this, never before."""
        try:
            while len(os.read(self._descriptor, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Take the bell away."""
        try:
            os.unlink(self._name, dir_fd=self._folder)
        except FileNotFoundError:
            pass
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


class GuardedDoorbell:
    """A bell that is hung again when it is removed, as by a program that tidies up.

    folder: returns a descriptor of the folder of bells, made where missing.
    """

    def __init__(self, folder: Callable[[], int]) -> None:
        from selectors import DefaultSelector

        self._folder = folder
        self._selector = DefaultSelector()
        self._bell, self._watch = self._hang()

    def fileno(self) -> int:
        """Readable once the log may have grown, or the bell was removed."""
        found = self._selector.fileno()
        assert isinstance(found, int)
        return found

    def drain(self) -> None:
        """Take in all rings so far; read the log after this, never before."""
        self._bell.drain()
        if self._watch is not None:
            try:
                os.read(self._watch, 4096)
            except BlockingIOError:
                return
        self.check()

    def check(self) -> None:
        """Hang it again if it is missing. If that fails, the next check tries again.

        It is tried a few times: a program that removes the folder may still be at work, and may
        remove the new bell before it is watched.
        """
        for _ in range(TRIES):
            try:
                if self._bell.hangs(self._folder()):
                    return
                removed, watch = self._bell, self._watch
                self._bell, self._watch = self._hang()
            except (StoreError, OSError):
                time.sleep(PAUSE_S)
                continue
            self._take_down(removed, watch)

    def close(self) -> None:
        """Take the bell away."""
        self._take_down(self._bell, self._watch)
        self._selector.close()

    def _hang(self) -> tuple[SqliteDoorbell, int | None]:
        bell = SqliteDoorbell(self._folder())
        from selectors import EVENT_READ

        watch = _watch_names(bell.fileno())
        for source in (bell.fileno(), watch):
            if source is not None:
                self._selector.register(source, EVENT_READ)
        return bell, watch

    def _take_down(self, bell: SqliteDoorbell, watch: int | None) -> None:
        self._selector.unregister(bell.fileno())
        bell.close()
        if watch is not None:
            self._selector.unregister(watch)
            os.close(watch)


def _watch_names(descriptor: int) -> int | None:
    """A descriptor that is readable once an open file has lost a name; None if none is to be had.

    Linux's inotify: unlinking changes the number of links, an attribute of the file.
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
    """Ring every bell in `folder`; bells whose listener is gone are taken away.

    Never fails: what was committed stays so, and who listens looks again by itself in time.
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
        if error.errno == errno.ENXIO:  # nobody listens any more
            _take_away(folder, name)
        return
    try:
        os.write(descriptor, b"!")
    except BlockingIOError:  # full: it is ringing already
        pass
    except BrokenPipeError:  # it left just now
        pass
    finally:
        os.close(descriptor)


def _take_away(folder: int, name: str) -> None:
    try:
        if stat.S_ISFIFO(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass

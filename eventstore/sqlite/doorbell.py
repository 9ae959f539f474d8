"""Waking others when the log has grown: a FIFO for each listener, rung after every commit."""

import errno
import os
import stat
from types import TracebackType
from typing import Self

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

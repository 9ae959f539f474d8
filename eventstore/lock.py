"""Named locks that end with their holder: the kernel releases an flock when the process ends."""

import fcntl
import os

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_TO_CHECK = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Lock:
    """An flock on a file in the side folder of the queue.

    The lock belongs to the open file. A process that receives the descriptor also holds the lock.
    The lock ends when all descriptors are closed.
    """

    def __init__(self, folder: int, name: str) -> None:
        self._folder, self.name = folder, name
        self._descriptor: int | None = None
        self._identity: tuple[int, int] | None = None

    def acquire(self) -> bool:
        """Take the lock, creating its file if it is missing; return False if it is held.

        Never waits.
        """
        return self._take(_FLAGS | os.O_CREAT)

    def acquire_existing(self) -> bool:
        """Take the lock if its file exists; return False if another process holds it.

        Raises FileNotFoundError if there is no file.
        """
        return self._take(_FLAGS)

    def is_held(self) -> bool:
        """Return True if a process holds the lock. Several processes can check at the same time.

        The check takes a shared lock for a moment: a process that tries to acquire the lock at that
        moment may fail.
        """
        try:
            descriptor = os.open(self.name, _TO_CHECK, dir_fd=self._folder)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def has_file(self) -> bool:
        """Return True if the locked file still has its name, so that other processes find it."""
        return self._identity is not None and self._identity == self._file_with_name()

    def fileno(self) -> int:
        """Return the descriptor that holds the lock."""
        assert self._descriptor is not None, f"lock {self.name} is not held"
        return self._descriptor

    def release(self) -> None:
        """Release the lock. If another process received the descriptor, that one still holds it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        """Delete the lock's file, then release it. Only for a name that is never locked again."""
        try:
            os.unlink(self.name, dir_fd=self._folder)
        except FileNotFoundError:
            pass
        self.release()

    def _take(self, flags: int) -> bool:
        """Lock the file; return False if another process holds it.

        The last holder may have deleted the file between our open and our lock. So check that the
        locked file still has its name, and try again if not.
        """
        while True:
            descriptor = os.open(self.name, flags, 0o600, dir_fd=self._folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            opened = os.fstat(descriptor)
            if (opened.st_dev, opened.st_ino) == self._file_with_name():
                self._descriptor = descriptor
                self._identity = (opened.st_dev, opened.st_ino)
                return True
            os.close(descriptor)

    def _file_with_name(self) -> tuple[int, int] | None:
        """Return device and inode of the file that has the name now; None if there is none."""
        try:
            named = os.stat(self.name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return named.st_dev, named.st_ino

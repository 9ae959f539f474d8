"""Named locks that die with their holder: the kernel drops an flock when its process ends."""

import fcntl
import os

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class SqliteLock:
    """One flock on a file in the folder beside the queue.

    It follows the open file: whoever was sent its descriptor holds it too, until all are closed.
    """

    def __init__(self, folder: int, name: str) -> None:
        self._folder, self.name = folder, name
        self._descriptor: int | None = None
        self._identity: tuple[int, int] | None = None

    def acquire(self) -> bool:
        """Take it, making its file where missing; False where another holds it. Never waits."""
        return self._take(_FLAGS | os.O_CREAT)

    def acquire_existing(self) -> bool:
        """Take it where its file stands. False where another holds it.

        Raises FileNotFoundError where there is no file.
        """
        return self._take(_FLAGS)

    def is_held(self) -> bool:
        """Whether someone holds it. It is taken for a moment: ask only if nobody wants it now."""
        try:
            free = self.acquire_existing()
        except FileNotFoundError:
            return False
        self.release()
        return not free

    def has_file(self) -> bool:
        """Whether the file that was locked last is there still, so that others find it."""
        return self._identity is not None and self._identity == self._named()

    def fileno(self) -> int:
        """The descriptor that holds it."""
        assert self._descriptor is not None, f"lock {self.name} is not held"
        return self._descriptor

    def release(self) -> None:
        """Let go: also of a lock whose descriptor was sent on, which its new holder keeps."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        """Take its file away, for a name that nobody will lock again, then let go."""
        try:
            os.unlink(self.name, dir_fd=self._folder)
        except FileNotFoundError:
            pass
        self.release()

    def _take(self, flags: int) -> bool:
        """Lock the file that has the name: who held it before may have removed it meanwhile."""
        while True:
            descriptor = os.open(self.name, flags, 0o600, dir_fd=self._folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            opened = os.fstat(descriptor)
            if (opened.st_dev, opened.st_ino) == self._named():
                self._descriptor = descriptor
                self._identity = (opened.st_dev, opened.st_ino)
                return True
            os.close(descriptor)

    def _named(self) -> tuple[int, int] | None:
        try:
            named = os.stat(self.name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return named.st_dev, named.st_ino

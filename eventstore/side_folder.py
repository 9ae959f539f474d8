"""The folder of a queue on this machine: locks, doorbells, long outputs.

A queue file has the folder `<file>.d/`.
"""

import errno
import os
import stat

from .errors import DISK_FULL, ForeignFile, Full, ReadOnly, StorageFailed

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class SideFolder:
    """The folder. It is used by its descriptor, so that a link with its path is not followed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptors: dict[str, int] = {}
        self._removed: list[int] = []
        """Descriptors of deleted folders. They stay open because callers may still use them."""

    def folder(self, name: str) -> int:
        """Return a descriptor of the subfolder `name`; it stays open until `close`.

        Both folders are created (0700) if they are missing, even if a program that cleans up
        folders has deleted them since the last call. Raises ForeignFile if the path is not a
        folder, or other users may write to it; ReadOnly, Full or StorageFailed if it cannot be
        created.
        """
        if name in self._descriptors and not self._exists(name):
            self._removed.append(self._descriptors.pop(name))
        if name not in self._descriptors:
            root = self._open(self.path, None)
            try:
                self._descriptors[name] = self._open(name, root)
            finally:
                os.close(root)
        return self._descriptors[name]

    def existing(self, name: str) -> int | None:
        """Return the descriptor of a subfolder; None if it is missing. Creates nothing."""
        if name in self._descriptors and self._exists(name):
            return self._descriptors[name]
        if os.path.isdir(os.path.join(self.path, name)):
            return self.folder(name)
        return None

    def names(self, name: str) -> list[str]:
        """Return the names of all entries of the subfolder `name`; empty if it is missing."""
        folder = self.existing(name)
        return [] if folder is None else os.listdir(folder)

    def close(self) -> None:
        """Close all descriptors."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])
        while self._removed:
            os.close(self._removed.pop())

    def _exists(self, name: str) -> bool:
        """Return True if the path still leads to the folder that is open."""
        try:
            named = os.stat(os.path.join(self.path, name), follow_symlinks=False)
        except OSError:
            return False
        opened = os.fstat(self._descriptors[name])
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)

    def _open(self, name: str, parent: int | None) -> int:
        try:
            try:
                descriptor = os.open(name, _FOLDER, dir_fd=parent)
            except FileNotFoundError:
                descriptor = self._make(name, parent)
        except NotADirectoryError:
            raise ForeignFile(self.path, "holds something that is not a folder of ours") from None
        except PermissionError:
            raise ReadOnly(self.path) from None
        except OSError as error:
            if error.errno == errno.EROFS:
                raise ReadOnly(self.path, "mount") from None
            if error.errno in DISK_FULL:
                raise Full(self.path) from None
            raise StorageFailed(self.path, str(error.strerror)) from None
        self._refuse_shared(descriptor)
        return descriptor

    @staticmethod
    def _make(name: str, parent: int | None) -> int:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            pass
        return os.open(name, _FOLDER, dir_fd=parent)

    def _refuse_shared(self, descriptor: int) -> None:
        """Raise ForeignFile if another user owns the folder or may write to it."""
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            os.close(descriptor)
            raise ForeignFile(self.path, "may be written by others (chmod go-w fixes that)")

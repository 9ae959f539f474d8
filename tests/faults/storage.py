"""A disk that fails on demand: an APSW VFS below the real database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import apsw

Fault = Callable[[str, str], type[apsw.Error] | None]
"""From an operation (`write`, `sync`, `truncate`) and a file's name to the error it is to raise."""


class Disk(apsw.VFS):
    """The default VFS, with a say before each write-side operation."""

    def __init__(self) -> None:
        self.fault: Fault = lambda operation, name: None
        self.operations: list[tuple[str, str]] = []
        super().__init__("failing-disk", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)

    def about_to(self, operation: str, name: str) -> None:
        """Raise what the test wants to happen instead."""
        self.operations.append((operation, name))
        if error := self.fault(operation, name):
            raise error(f"planted at {operation}")


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.about_to("write", self._name)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._disk.about_to("sync", self._name)
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:
        self._disk.about_to("truncate", self._name)
        super().xTruncate(size)


@contextmanager
def failing_disk() -> Iterator[Disk]:
    """A disk for all databases opened meanwhile. It works until `fault` is set."""
    disk = Disk()
    try:
        yield disk
    finally:
        disk.fault = lambda operation, name: None
        disk.unregister()

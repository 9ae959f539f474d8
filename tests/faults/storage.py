"""A disk that fails on demand and records all operations: an APSW VFS."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import apsw

Fault = Callable[[str, str], type[apsw.Error] | None]
"""From an operation (`write`, `sync`, `truncate`) and a file's path to the error to raise."""

Kind = Literal[
    "create", "write", "sync", "truncate", "delete", "link", "sync-folder", "acknowledge"
]


class Operation(NamedTuple):
    """An operation on a file, or an acknowledgement to a client."""

    kind: Kind
    name: str
    """The file's path."""
    number: int = 0
    """The offset of a write, the new size of a truncation, or the acknowledged position."""
    data: bytes = b""


class Disk(apsw.VFS):
    """The default VFS; each operation that writes may fail before, and is recorded after."""

    def __init__(self) -> None:
        self.fault: Fault = lambda operation, name: None
        self.done: list[Operation] = []
        super().__init__("failing-disk", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        new = not os.path.exists(path)
        file = _File(self, path, name, flags)
        if new:
            self.done.append(Operation("create", path))
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self.done.append(Operation("delete", filename))
        if syncdir:
            self.done.append(Operation("sync-folder", os.path.dirname(filename)))

    def about_to(self, operation: str, name: str) -> None:
        """Raise the error that the test has planted for this operation, if any."""
        if error := self.fault(operation, name):
            raise error(f"planted at {operation}")


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, path: str, name: Any, flags: list[int]) -> None:
        self._disk, self._name = disk, path
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.about_to("write", self._name)
        super().xWrite(data, offset)
        self._disk.done.append(Operation("write", self._name, offset, bytes(data)))

    def xSync(self, flags: int) -> None:
        self._disk.about_to("sync", self._name)
        super().xSync(flags)
        self._disk.done.append(Operation("sync", self._name))

    def xTruncate(self, size: int) -> None:
        self._disk.about_to("truncate", self._name)
        super().xTruncate(size)
        self._disk.done.append(Operation("truncate", self._name, size))


@contextmanager
def failing_disk() -> Iterator[Disk]:
    """Yield the disk of all databases opened in the block. It works until `fault` is set."""
    disk = Disk()
    try:
        yield disk
    finally:
        disk.fault = lambda operation, name: None
        disk.unregister()

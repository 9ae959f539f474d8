"""The files after a power cut: all synced data, and a random part of the rest."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from tests.faults.storage import Operation

SECTOR_BYTES = 512
"""A disk writes a sector completely or not at all."""


class Image(NamedTuple):
    """The files after the power is back."""

    cut: int
    """The number of operations before the cut."""
    way: int
    """The number of the outcome, of those that are possible then."""
    acknowledged: int
    """The last position that was acknowledged before the cut."""
    files: dict[str, bytes]


class _File:
    """A file without a name: its content on the disk, and its writes that are not synced."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.pending: list[Operation] = []

    def sync(self) -> None:
        for operation in self.pending:
            _apply(self.durable, operation)
        self.pending.clear()

    def after_cut(self, random: Random, kept: float) -> bytes:
        """Return the content after the cut. kept: probability of an unsynced write."""
        content = bytearray(self.durable)
        for operation in self.pending:
            if random.random() < kept:
                _apply(content, operation)
            elif operation.kind == "write" and random.random() < 0.5:
                _tear(content, operation, random)
        return bytes(content)


class Power:
    """A disk that repeats recorded operations, and may lose its power after each of them."""

    def __init__(self, seed: str, names: Sequence[str]) -> None:
        """names: the paths of the files that an image has."""
        self._seed, self._names = seed, names
        self._files: dict[str, _File] = {}
        """The files by name, as programs see them."""
        self._durable: dict[str, _File] = {}
        """The files by name, in the folder on the disk."""
        self._acknowledged = 0

    def images(self, done: Sequence[Operation], ways: int, part: float) -> Iterator[Image]:
        """Yield up to `ways` images after operations of `done`, chosen with probability `part`."""
        chosen = Random(self._seed)
        for cut, operation in enumerate(done, 1):
            self._do(operation)
            if chosen.random() < part:
                for way in range(ways if self._uncertain() else 1):
                    yield self._image(cut, way)

    def _do(self, operation: Operation) -> None:
        kind, name, number, data = operation
        match kind:
            case "create":
                self._files[name] = _File()
            case "write" | "truncate":
                self._files.setdefault(name, _File()).pending.append(operation)
            case "sync":
                self._files[name].sync()
                # SQLite syncs the folder with the first sync of a journal or WAL that it created.
                made = self._durable.get(name) is not self._files[name]
                if made and name.endswith(("-journal", "-wal")):
                    self._durable = dict(self._files)
            case "delete":
                del self._files[name]
            case "link":
                self._files[data.decode()] = self._files[name]
            case "sync-folder":
                self._durable = dict(self._files)
            case "acknowledge":
                self._acknowledged = number

    def _uncertain(self) -> bool:
        visible = [self._files.get(name) for name in self._names]
        durable = [self._durable.get(name) for name in self._names]
        return visible != durable or any(file.pending for file in visible if file)

    def _image(self, cut: int, way: int) -> Image:
        random = Random(f"{self._seed}/{cut}/{way}")
        kept = (0.0, 1.0, 0.5, 0.9, 0.1)[way % 5]
        files = {}
        for name in self._names:
            folder = self._files if random.random() < kept else self._durable
            if (file := folder.get(name)) is not None:
                files[name] = file.after_cut(random, kept)
        return Image(cut, way, self._acknowledged, files)


def _apply(content: bytearray, operation: Operation) -> None:
    if operation.kind == "truncate":
        del content[operation.number :]
        content.extend(bytes(operation.number - len(content)))
    else:
        _put(content, operation.number, operation.data)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _tear(content: bytearray, operation: Operation, random: Random) -> None:
    """Write a random part of the sectors of a write."""
    at, end = operation.number, operation.number + len(operation.data)
    while at < end:
        upto = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
        if random.random() < 0.5:
            first = at - operation.number
            _put(content, at, operation.data[first : first + upto - at])
        at = upto

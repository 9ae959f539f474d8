"""What an attempt prints, taken in: short output in memory, long output in files, capped.

The files of an attempt stand in a folder of their own, `<job>.<attempt>/`; each is named by the
offset in the stream at which it begins. The first is the head, half of the limit; the later ones
are a quarter each, and the last two of them are kept. Where one does not end at the next one's
offset, output is missing. `reader.py` reads them back.
"""

import os
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

IN_MEMORY_BYTES = 65_536
"""What is no longer goes into the database with the result: many small outputs make no files."""

LONGEST_NAME_BYTES = 200
"""Of an id that names its folder itself: file systems take 255, some only 143 of those."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def folder_name(job_id: str, attempt: int) -> str:
    """The folder of an attempt's files, within the folder of all outputs.

    An id too long for a file name gives way to its digest, after a `$`, with which no id begins.
    """
    name = job_id.encode()
    if len(name) > LONGEST_NAME_BYTES:
        return f"${sha256(name).hexdigest()}.{attempt}"
    return f"{job_id}.{attempt}"


class Kept(NamedTuple):
    """What is left of an attempt's output."""

    total_bytes: int
    """All it printed."""
    kept_bytes: int
    sha256: str | None
    """Hex digest of what was kept; None when nothing was."""
    blob: bytes | None
    """What was kept, where it is short; None where it stands in files."""


class Output:
    """Takes in what one attempt prints.

    folder: returns a descriptor of the folder of all outputs. limit_bytes: how much to keep at the
    most.
    """

    def __init__(
        self, folder: Callable[[], int], job_id: str, attempt: int, limit_bytes: int
    ) -> None:
        self._folder, self._job_id, self._attempt = folder, job_id, attempt
        self._limit_bytes = limit_bytes
        self._most_in_memory = min(IN_MEMORY_BYTES, limit_bytes)
        self._memory = bytearray()
        self.total_bytes = 0
        self.spilt = False

    @cached_property
    def _files(self) -> "_Files":
        """Made for output that is long, or slow; most is neither."""
        name = folder_name(self._job_id, self._attempt)
        return _Files(self._folder, name, self._limit_bytes)

    def take(self, data: bytes) -> None:
        """Add what was printed."""
        fits = self.total_bytes + len(data) <= self._most_in_memory
        if not fits:
            self.spill()
            self._memory.clear()
        if self.spilt:
            self._files.write(self.total_bytes, data)
        if fits:
            self._memory += data
        self.total_bytes += len(data)

    def spill(self) -> None:
        """From now on all stands in files, for those who follow."""
        if not self.spilt:
            self.spilt = True
            self._files.write(0, bytes(self._memory))

    def finish(self) -> Kept:
        """What is left, once nothing more comes."""
        if self.total_bytes > len(self._memory):
            return Kept(self.total_bytes, self._files.size, self._files.digest, None)
        blob = bytes(self._memory)
        return Kept(len(blob), len(blob), sha256(blob).hexdigest() if blob else None, blob)

    def close(self) -> None:
        """Let go of the files; they stay."""
        if self.spilt:
            self._files.close()

    def discard(self) -> None:
        """Take the files away, for what they hold stands in the database by now."""
        if self.spilt:
            self._files.remove()
            self._files.close()


class _Files:
    """Head and tail of a stream. A full disk loses output, not the job: the gap tells."""

    def __init__(self, folder: Callable[[], int], name: str, limit_bytes: int) -> None:
        self._parent, self._name = folder, name
        self._quarter = limit_bytes // 4
        self._half = limit_bytes - 2 * self._quarter
        self._folder: int | None = None
        self._segments: list[_Segment] = []
        # Of the head; of all that is kept; of the head and the last segment, which is what is
        # kept once the segment between them is dropped. So nothing is ever read back.
        self._of_head, self._of_all, self._of_ends = sha256(), sha256(), sha256()

    def _begin_again(self) -> None:
        """All files were removed, as by a program that tidies up: keep what comes from now on."""
        self.close()
        self._segments.clear()
        self._of_head, self._of_all, self._of_ends = sha256(), sha256(), sha256()

    @property
    def size(self) -> int:
        """Bytes kept."""
        return sum(segment.size for segment in self._segments)

    @property
    def digest(self) -> str | None:
        """Hex digest of what is kept; None when nothing is."""
        return self._of_all.hexdigest() if self.size else None

    def write(self, offset: int, data: bytes) -> None:
        """Keep `data`, which stands at `offset` in the stream, as far as the limit allows."""
        rest = memoryview(data)
        if self._segments and self._segments[-1].removed:
            self._begin_again()
        try:
            while rest and (segment := self._segment_at(offset)):
                written = segment.write(rest)
                self._digest(rest[:written])
                rest, offset = rest[written:], offset + written
        except OSError:  # no room, or no folder any more
            if self._segments and not self._segments[-1].size:
                self._segments.pop().remove()

    def close(self) -> None:
        """Let go of the descriptors; no more is written."""
        for segment in self._segments:
            segment.close()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def remove(self) -> None:
        """Take all files away."""
        while self._segments:
            self._segments.pop().remove()
        if self._folder is not None:
            try:
                os.rmdir(self._name, dir_fd=self._parent())
            except OSError:
                pass  # gone, or someone put a file there

    def _segment_at(self, offset: int) -> "_Segment | None":
        """Where the byte at `offset` goes: on with the last segment, or into a new one."""
        last = self._segments[-1] if self._segments else None
        if last and last.end == offset and last.room:
            return last
        limit = self._quarter if last else self._half
        if not limit:
            return None
        if last:
            last.close()
        if len(self._segments) == 3:
            self._segments.pop(1).remove()
            self._of_all = self._of_ends
        self._of_ends = self._of_head.copy()
        self._segments.append(_Segment(self._own_folder(), offset, limit))
        return self._segments[-1]

    def _own_folder(self) -> int:
        if self._folder is None:
            parent = self._parent()
            try:
                os.mkdir(self._name, 0o700, dir_fd=parent)
            except FileExistsError:
                pass  # of a queue file that was put back from a copy
            self._folder = os.open(self._name, _FOLDER, dir_fd=parent)
        return self._folder

    def _digest(self, data: memoryview) -> None:
        if len(self._segments) == 1:
            self._of_head.update(data)
        self._of_all.update(data)
        self._of_ends.update(data)


class _Segment:
    """One file, which holds the stream from `offset` on."""

    def __init__(self, folder: int, offset: int, limit: int) -> None:
        self._folder, self._name, self._limit = folder, str(offset), limit
        self.offset, self.size = offset, 0
        self._unlink()
        self._file: int | None = os.open(self._name, _CREATE, 0o600, dir_fd=folder)

    @property
    def end(self) -> int:
        """Offset in the stream of what would come next."""
        return self.offset + self.size

    @property
    def room(self) -> int:
        """Bytes that still fit."""
        return self._limit - self.size

    @property
    def removed(self) -> bool:
        """Whether somebody has removed the file while it is open."""
        return self._file is not None and os.fstat(self._file).st_nlink == 0

    def write(self, data: memoryview) -> int:
        """Append what fits; how much that was."""
        assert self._file is not None
        written = os.write(self._file, data[: self.room])
        self.size += written
        return written

    def close(self) -> None:
        """No more is written."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def remove(self) -> None:
        """Take the file away."""
        self.close()
        self._unlink()

    def _unlink(self) -> None:
        try:
            os.unlink(self._name, dir_fd=self._folder)
        except FileNotFoundError:
            pass

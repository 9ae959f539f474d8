"""The files with the long output of attempts, in a queue's folder on this machine.

The files of an attempt are in a folder of their own, `<job>.<attempt>/`. Each file is named after
the offset in the output at which it begins. The first file is the head and holds half of the limit.
The later files hold a quarter each, and the last two of them are kept. If a file does not end at
the offset of the next one, output is missing between them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import NamedTuple

LONGEST_NAME_BYTES = 200
"""The longest id that is used as a folder name: file systems allow 255 bytes, a few only 143."""

READ_BYTES = 65_536

ALL_SENT = -1
"""The offset of an empty piece on a server: all that was kept of an output has been sent to it."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def folder_name(job_id: str, attempt: int) -> str:
    """Return the name of the folder of an attempt's files, within the folder of all outputs.

    An id that is too long for a file name is replaced by `$` and its digest; no id begins with `$`.
    """
    name = job_id.encode()
    if len(name) > LONGEST_NAME_BYTES:
        return f"${sha256(name).hexdigest()}.{attempt}"
    return f"{job_id}.{attempt}"


def head_bytes(limit_bytes: int) -> int:
    """Return how much of the beginning of an output is kept, if at most `limit_bytes` are kept."""
    return limit_bytes - 2 * (limit_bytes // 4)


class Piece(NamedTuple):
    """A contiguous piece of the output that was kept."""

    offset: int
    """Offset of the first byte in the whole output."""
    data: bytes
    missing_bytes: int
    """Number of bytes directly before it that were not kept."""

    @property
    def end(self) -> int:
        """Offset after the last byte in the whole output: pass it as `since` to read on."""
        return self.offset + len(self.data)


Pieces = Callable[[str, int], Iterator[Piece]]
"""Returns the kept output of an attempt in files. Arguments: job and attempt."""


def pieces(folder: int | None, job_id: str, attempt: int, since: int = 0) -> Iterator[Piece]:
    """Yield the pieces that an attempt's files contain now, in order.

    folder: descriptor of the folder of all outputs; None if there is none. since: the offset in
    bytes at which to begin. To follow the output, call this again with the `end` of the last piece.
    """
    own = _open(folder_name(job_id, attempt), _FOLDER, folder)
    if own is None:
        return
    try:
        for offset in sorted(int(name) for name in os.listdir(own) if name.isdecimal()):
            for piece in _segment(own, offset, since):
                yield piece
                since = piece.end
    finally:
        os.close(own)


def has_files(folder: int | None, job_id: str, attempt: int) -> bool:
    """Return True if there are files of this attempt. folder: as in `pieces`."""
    if folder is None:
        return False
    try:
        os.stat(folder_name(job_id, attempt), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def gaps_of(folder: int | None, job_id: str, attempt: int) -> list[tuple[int, int]]:
    """Return the parts of the output that the files of an attempt lack, in front of the last file.

    Each has the offsets of its first byte and after its last one. folder: as in `pieces`.
    """
    own = _open(folder_name(job_id, attempt), _FOLDER, folder)
    if own is None:
        return []
    gaps, end = [], 0
    try:
        for offset in sorted(int(name) for name in os.listdir(own) if name.isdecimal()):
            if offset > end:
                gaps.append((end, offset))
            end = offset + _size(own, offset)
    finally:
        os.close(own)
    return gaps


def _size(own: int, offset: int) -> int:
    try:
        return os.stat(str(offset), dir_fd=own, follow_symlinks=False).st_size
    except FileNotFoundError:  # removed in the meantime, because newer output needed the room
        return 0


@contextmanager
def pieces_next_to(path: str) -> Iterator[Pieces]:
    """Return a function that reads the outputs of a backup that no worker uses. path: its file.

    Unlike the folder of a queue, that of a backup may belong to any user.
    """
    try:
        folder = os.open(f"{path}.d/outputs", _FOLDER)
    except FileNotFoundError:
        yield partial(pieces, None)
        return
    try:
        yield partial(pieces, folder)
    finally:
        os.close(folder)


def _segment(own: int, offset: int, since: int) -> Iterator[Piece]:
    file = _open(str(offset), _FILE, own)
    if file is None:
        return  # removed in the meantime, because newer output needed the room
    try:
        os.lseek(file, max(0, since - offset), os.SEEK_SET)
        at = max(since, offset)
        while data := os.read(file, READ_BYTES):
            yield Piece(at, data, at - since)
            since = at = at + len(data)
    except IsADirectoryError:
        return  # not a file of the writer
    finally:
        os.close(file)


def _open(name: str, flags: int, folder: int | None) -> int | None:
    try:
        return None if folder is None else os.open(name, flags, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return None


class OutputFiles:
    """Writes the head and the tail of an output; the first write creates the first file.

    folder: returns a descriptor of the folder of all outputs. limit_bytes: the maximum to keep. If
    the disk is full, output is lost but the job continues; the gap between two files shows the
    loss.
    """

    def __init__(
        self, folder: Callable[[], int], job_id: str, attempt: int, limit_bytes: int
    ) -> None:
        self._parent, self._name = folder, folder_name(job_id, attempt)
        self.limit_bytes = limit_bytes
        self._quarter = limit_bytes // 4
        self._half = head_bytes(limit_bytes)
        self._folder: int | None = None
        self._segments: list[_Segment] = []
        # Digests of the head, of all kept segments, and of the head with the last segment. The last
        # one becomes the digest of all when the segment between them is dropped: so no file has to
        # be read again to compute a digest.
        self._of_head, self._of_all, self._of_ends = sha256(), sha256(), sha256()

    def _begin_again(self) -> None:
        """Start over after another program has removed the files: keep only later output."""
        self._close_all()
        self._segments.clear()
        self._of_head, self._of_all, self._of_ends = sha256(), sha256(), sha256()

    @property
    def size(self) -> int:
        """The number of bytes kept."""
        return sum(segment.size for segment in self._segments)

    @property
    def digest(self) -> str | None:
        """The hex digest of the kept bytes; None if there are none."""
        return self._of_all.hexdigest() if self.size else None

    def write(self, offset: int, data: bytes) -> None:
        """Keep `data`, which is at `offset` in the output, as far as the limit allows."""
        rest = memoryview(data)
        if self._segments and self._segments[-1].removed:
            self._begin_again()
        try:
            while rest and (segment := self._segment_at(offset)):
                written = segment.write(rest)
                self._digest(rest[:written])
                rest, offset = rest[written:], offset + written
        except OSError:  # the disk is full, or the folder was removed
            if self._segments and not self._segments[-1].size:
                self._segments.pop().remove()

    def close(self) -> None:
        """Close the descriptors. Nothing may be written afterwards."""
        self._close_all()

    def _close_all(self) -> None:
        for segment in self._segments:
            segment.close()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def remove(self) -> None:
        """Remove all files and their folder."""
        while self._segments:
            self._segments.pop().remove()
        if self._folder is not None:
            try:
                os.rmdir(self._name, dir_fd=self._parent())
            except OSError:
                pass  # already removed, or another program put a file there

    def _segment_at(self, offset: int) -> "_Segment | None":
        """Return the segment for the byte at `offset`: the last one, or a new one.

        None if the limit leaves no room for a tail.
        """
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
                pass  # it was created before the queue file was replaced by a copy
            self._folder = os.open(self._name, _FOLDER, dir_fd=parent)
        return self._folder

    def _digest(self, data: memoryview) -> None:
        if len(self._segments) == 1:
            self._of_head.update(data)
        self._of_all.update(data)
        self._of_ends.update(data)


class _Segment:
    """One file: the output from `offset` on, up to `limit` bytes."""

    def __init__(self, folder: int, offset: int, limit: int) -> None:
        self._folder, self._name, self._limit = folder, str(offset), limit
        self.offset, self.size = offset, 0
        self._unlink()
        self._file: int | None = os.open(self._name, _CREATE, 0o600, dir_fd=folder)

    @property
    def end(self) -> int:
        """The offset after the last byte in the output."""
        return self.offset + self.size

    @property
    def room(self) -> int:
        """The number of bytes that still fit."""
        return self._limit - self.size

    @property
    def removed(self) -> bool:
        """Whether another program has removed the file while it is open."""
        return self._file is not None and os.fstat(self._file).st_nlink == 0

    def write(self, data: memoryview) -> int:
        """Append as much as fits. Return the number of bytes written."""
        assert self._file is not None
        written = os.write(self._file, data[: self.room])
        self.size += written
        return written

    def close(self) -> None:
        """Close the file. Nothing may be written afterwards."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def remove(self) -> None:
        """Close and remove the file."""
        self.close()
        self._unlink()

    def _unlink(self) -> None:
        try:
            os.unlink(self._name, dir_fd=self._folder)
        except FileNotFoundError:
            pass

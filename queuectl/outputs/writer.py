"""Store the output of an attempt, up to a limit: short output in memory, long output in files."""

from hashlib import sha256
from typing import NamedTuple

from eventstore.output_files import OutputFiles

IN_MEMORY_BYTES = 65_536
"""Output up to this size is stored in the database, with the result, and needs no files."""


class Kept(NamedTuple):
    """The size, digest and short content of the output that was kept."""

    total_bytes: int
    """Bytes that the attempt printed."""
    kept_bytes: int
    sha256: str | None
    """Hex digest of the kept bytes; None if there are none."""
    blob: bytes | None
    """The kept bytes if they are short; None if they are in files."""


class OutputWriter:
    """Stores the output of one attempt.

    files: used for long output, and for output that a reader follows. Other output makes no file.
    """

    def __init__(self, files: OutputFiles) -> None:
        self._files = files
        self._most_in_memory = min(IN_MEMORY_BYTES, files.limit_bytes)
        self._memory = bytearray()
        self.total_bytes = 0
        self.spilt = False

    def take(self, data: bytes) -> None:
        """Add bytes that the attempt printed."""
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
        """Write all output to files from now on, so that others can follow it."""
        if not self.spilt:
            self.spilt = True
            self._files.write(0, bytes(self._memory))

    def finish(self) -> Kept:
        """Return what was kept. Call it after the last `take`."""
        if self.total_bytes > len(self._memory):
            return Kept(self.total_bytes, self._files.size, self._files.digest, None)
        blob = bytes(self._memory)
        return Kept(len(blob), len(blob), sha256(blob).hexdigest() if blob else None, blob)

    def close(self) -> None:
        """Close the files without removing them."""
        if self.spilt:
            self._files.close()

    def discard(self) -> None:
        """Remove the files. Call it once their content is stored in the database."""
        if self.spilt:
            self._files.remove()
            self._files.close()

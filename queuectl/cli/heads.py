"""`POSITION:HASH`: the head of a log, as it is typed and as it is kept in a file."""

import os
import re

from eventstore.errors import Unusable
from eventstore.store import Head

from ..errors import BadInput

_HEAD = r"([0-9]{1,18}):([0-9a-fA-F]{64})"


class HeadNotWritten(Unusable):
    """The file for the head could not be written."""

    def __init__(self, file: str, what: str, head: Head | None = None) -> None:
        """head: of the backup, if that has been written already."""
        todo = (
            "choose another file for the head"
            if head is None
            else f"the backup is complete, and its head is {head.position}:{head.hash}"
        )
        super().__init__(f"{file} cannot be written ({what}); {todo}")


def head_from(text: str) -> Head:
    """The head that `--expect` names: itself, or after `@` the file that holds it."""
    if text.startswith("@"):
        text = _read(text[1:])
    match = re.fullmatch(_HEAD, text)
    if not match:
        raise BadInput(
            f"{text!r:.100} is not a head; give POSITION:HASH as 'queuectl status' prints it,"
            " or @FILE"
        )
    return Head(int(match[1]), match[2].lower())


class HeadFile:
    """A file for a head: it keeps what it holds until `write`, which replaces it in one step."""

    def __init__(self, file: str) -> None:
        """Check that the file can be written. Raises HeadNotWritten."""
        self._file, self._building = file, f"{file}.{os.urandom(6).hex()}.new"
        if os.path.isdir(file):
            raise HeadNotWritten(file, "it is a directory")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._building, flags, 0o644)
        except OSError as error:
            raise HeadNotWritten(file, str(error.strerror)) from None

    def write(self, head: Head) -> None:
        """Write the head as `queuectl status` prints it, and wait until it is on the disk."""
        try:
            os.write(self._descriptor, f"{head.position}:{head.hash}\n".encode())
            os.fsync(self._descriptor)
            os.rename(self._building, self._file)
        except OSError as error:
            raise HeadNotWritten(self._file, str(error.strerror), head) from None

    def close(self) -> None:
        """Remove what was not written."""
        os.close(self._descriptor)
        try:
            os.unlink(self._building)
        except FileNotFoundError:
            pass


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.read(200).strip()
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}; --expect @FILE reads a head from it") from None

"""Read and write the head of a log as `POSITION:HASH`, on the command line and in a file."""

import os
import re
import stat
from collections.abc import Iterable

from eventstore.errors import Unusable
from eventstore.parts import part_of_any
from eventstore.store import Head

from ...errors import BadInput

_HEAD = r"([0-9]{1,18}):([0-9a-fA-F]{64})"
_HEAD_BYTES = 200
"""The number of bytes to read from a file; a head has fewer."""


class HeadNotWritten(Unusable):
    """The file for the head could not be written."""

    def __init__(self, file: str, what: str, head: Head | None = None) -> None:
        """Build the message. head: the head of the backup, if the backup is already complete."""
        todo = (
            "choose another file for the head"
            if head is None
            else f"the backup is complete, and its head is {head.position}:{head.hash}"
        )
        super().__init__(f"{file} cannot be written ({what}); {todo}")


def head_from(text: str) -> Head:
    """Return the head given to `--expect`: `POSITION:HASH`, or `@` and a file that contains it.

    Raises BadInput.
    """
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
    """A file for a head. It keeps its content until `write` replaces it in one step."""

    def __init__(self, file: str, databases: Iterable[str]) -> None:
        """Check that the file can be written and contains nothing but a head.

        databases: absolute paths of the queue and of its backup; `file` must not be a part of
        them. Raises HeadNotWritten.
        """
        self._file, self._building = file, f"{file}.{os.urandom(6).hex()}.new"
        problem = part_of_any(os.path.abspath(file), databases) or _other_content(file)
        if problem is not None:
            raise HeadNotWritten(file, problem)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._building, flags, 0o644)
        except OSError as error:
            raise HeadNotWritten(file, str(error.strerror)) from None

    def write(self, head: Head) -> None:
        """Write the head as `queuectl status` prints it, and flush it to disk."""
        try:
            os.write(self._descriptor, f"{head.position}:{head.hash}\n".encode())
            os.fsync(self._descriptor)
            os.rename(self._building, self._file)
        except OSError as error:
            raise HeadNotWritten(self._file, str(error.strerror), head) from None

    def close(self) -> None:
        """Remove the temporary file, if the head was not written."""
        os.close(self._descriptor)
        try:
            os.unlink(self._building)
        except FileNotFoundError:
            pass


def _other_content(file: str) -> str | None:
    """Return why an existing file must be kept; None if there is none or it contains a head."""
    try:
        status = os.lstat(file)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return "it is a directory" if stat.S_ISDIR(status.st_mode) else "it is not a regular file"
    if status.st_size == 0:
        return None
    try:
        with open(file, "rb") as opened:
            content = opened.read(_HEAD_BYTES)
    except OSError as error:
        return str(error.strerror)
    if not re.fullmatch(_HEAD, content.decode(errors="replace").strip()):
        return "it exists and holds something else than a head"
    return None


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.read(_HEAD_BYTES).strip()
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}; --expect @FILE reads a head from it") from None

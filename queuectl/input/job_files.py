"""Jobs from JSON: one object, an array, or a job a line; all checked before any is taken."""

import codecs
import os
import re
from collections.abc import Callable, Iterator
from itertools import chain
from struct import Struct
from typing import IO, Any

import msgspec

from eventstore.errors import TemporaryFull

from ..core.requests import NewJob
from ..errors import BadInput
from .job_spec import new_job

DOCUMENT_BYTES = 256 << 20
"""Most of an object or an array, which is read as a whole; of lines there may be any number."""

LINE_BYTES = 16 << 20
"""Most of a line: no job that can run comes near."""

_HEAD = Struct("!QI")
"""Before each job of a spool: its line, 0 if it has none of its own, and its length in bytes."""

_STRING = rb'"(?:[^"\\]|\\.)*"'
_SURROGATE = rb"\\u[dD][89a-fA-F]"
_OFFSET = r" \(byte ([0-9]+)\)"

_KINDS = {
    str: "a JSON string",
    list: "a JSON array",
    int: "a JSON number",
    float: "a JSON number",
    bool: "a JSON boolean",
    type(None): "null",
}

_array = msgspec.json.Decoder(list[msgspec.Raw])
_packer = msgspec.msgpack.Encoder()
_unpacker = msgspec.msgpack.Decoder(NewJob)


def jobs_from_json(document: bytes, now_us: int) -> list[NewJob]:
    """The jobs of one JSON text, an object or an array of objects. Raises BadInput."""
    document = _without_mark(document)
    if not document.lstrip().startswith(b"["):
        return [_job(document, now_us)]
    asked = _decoded(_array.decode, document)
    return [_placed(f"job {n}", bytes(one), now_us) for n, one in enumerate(asked, 1)]


def _temporary_file() -> IO[bytes]:
    from tempfile import TemporaryFile

    try:
        return TemporaryFile()
    except OSError as error:
        folder = error.filename or os.environ.get("TMPDIR") or "/tmp"
        raise TemporaryFull(str(folder), str(error.strerror)) from None


class Spool:
    """Checked jobs in a temporary file: as many as one likes, in flat memory."""

    def __init__(
        self, source: IO[bytes], now_us: int, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """Read and check all of `source`; `progress` is told how many there are so far.

        Raises BadInput, which names the line, at the first that is no job.
        """
        self._file = _temporary_file()
        self._count = 0
        for line, job in _read(source, now_us):
            packed = _packer.encode(job)
            self._write(_HEAD.pack(line, len(packed)) + packed)
            self._count += 1
            if self._count % 1000 == 0:
                progress(self._count)
        self._write(b"", flush=True)

    def _write(self, data: bytes, *, flush: bool = False) -> None:
        """Raises TemporaryFull: the file that is read is not to blame."""
        try:
            self._file.write(data)
            if flush:
                self._file.flush()
        except OSError as error:
            from tempfile import gettempdir

            raise TemporaryFull(gettempdir(), str(error.strerror)) from None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[NewJob]:
        self._file.seek(0)
        while head := self._file.read(_HEAD.size):
            yield _unpacker.decode(self._file.read(_HEAD.unpack(head)[1]))

    def place(self, n: int) -> str:
        """Where the `n`th job stands in the file: `line 57`, or `job 3` of an array."""
        self._file.seek(0)
        for _ in range(n):
            line, size = _HEAD.unpack(self._file.read(_HEAD.size))
            self._file.seek(size, os.SEEK_CUR)
        return f"line {line}" if line else f"job {n}"


def _read(source: IO[bytes], now_us: int) -> Iterator[tuple[int, NewJob]]:
    """The jobs of a file: a job a line where its first line is an object by itself."""
    blank, line = 0, _without_mark(source.readline(LINE_BYTES))
    while line and not line.strip():
        blank, line = blank + 1, source.readline(LINE_BYTES)
    if _is_object(line):
        return _read_lines(chain([line], _lines(source)), blank + 1, now_us)
    document = b"\n" * blank + line + source.read(DOCUMENT_BYTES + 1)
    if len(document) > DOCUMENT_BYTES:
        raise BadInput(f"more than {DOCUMENT_BYTES >> 20} MB of one JSON text; write a job a line")
    return ((0, job) for job in (jobs_from_json(document, now_us) if document.strip() else ()))


def _without_mark(text: bytes) -> bytes:
    """The text without the byte order mark that some editors write. Raises BadInput for UTF-16."""
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadInput("it is UTF-16; save it as UTF-8")
    return text.removeprefix(codecs.BOM_UTF8)


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    while line := source.readline(LINE_BYTES):
        yield line


def _read_lines(lines: Iterator[bytes], number: int, now_us: int) -> Iterator[tuple[int, NewJob]]:
    for n, line in enumerate(lines, number):
        if len(line) == LINE_BYTES:
            raise BadInput(f"line {n}: longer than {LINE_BYTES >> 20} MB")
        if line.strip():
            yield n, _placed(f"line {n}", line, now_us)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def _placed(place: str, text: bytes, now_us: int) -> NewJob:
    try:
        return _job(text, now_us)
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from None


def _job(text: bytes, now_us: int) -> NewJob:
    asked = _decoded(msgspec.json.decode, text)
    if not isinstance(asked, dict):
        kind = _KINDS[type(asked)]
        raise BadInput(f'a job is a JSON object such as {{"command": "make"}}, not {kind}')
    _refuse_doubled(text, asked)
    return new_job(asked, now_us)


def _decoded(decode: Callable[[bytes], Any], text: bytes) -> Any:
    try:
        return decode(text)
    except UnicodeDecodeError:
        raise BadInput("it is not valid UTF-8") from None
    except RecursionError:
        raise BadInput("it is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise BadInput(_fault(str(error), text)) from None


def _fault(error: str, text: bytes) -> str:
    """msgspec's error, which calls half a surrogate pair truncated, and counts in bytes only."""
    if "truncated" in error:
        halved = " or half a surrogate pair" if re.search(_SURROGATE, text) else ""
        return f"invalid JSON: unexpected end of input{halved}"
    error = error.replace("JSON is malformed", "invalid JSON")
    offset = re.search(_OFFSET, error)
    if offset is None:
        return error
    at = int(offset[1])
    if "trailing" in error and text[at - 1 : at] in (b"{", b"["):
        return (
            "several JSON texts follow each other; write one per line (jq -c) or one array (jq -s)"
        )
    if b"\n" not in text.strip():
        return error
    before = text[:at]
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return f"{error[: offset.start()]} (line {line}, column {column})"


def _refuse_doubled(text: bytes, asked: dict[str, Any]) -> None:
    """The decoder keeps the last of two equal keys. As many colons as keys: there were none."""
    if text.count(b":") == len(asked):  # and none of its values is an object
        return
    keys = _count(asked)
    if text.count(b":") != keys and re.sub(_STRING, b"", text).count(b":") != keys:
        raise BadInput("one of its keys is given twice")


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count, value.values()))
    return sum(map(_count, value)) if isinstance(value, list) else 0

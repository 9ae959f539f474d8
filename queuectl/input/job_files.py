"""Read jobs from JSON: one object, an array, or one object per line.

All jobs are checked before the first one is used.
"""

import codecs
import os
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from struct import Struct
from typing import IO, Any

import msgspec

from eventstore.errors import TemporaryFull

from ..core.requests import NewJob
from ..errors import BadInput
from .job_spec import new_job

DOCUMENT_BYTES = 256 << 20
"""The maximum size of an object or an array, which is read as a whole."""

LINE_BYTES = 16 << 20
"""The maximum size of a line, far more than a job that can run needs."""

CHUNK = 1_000
"""The number of jobs that a spool writes and reads at a time."""

CHUNK_CHARACTERS = 4 << 20
"""Characters of jobs after which a spool writes a shorter chunk."""

Placed = tuple[int, NewJob]
"""The number of a line (from 1), and the job on it. The line is 0 if a job is not one line."""

_SIZE = Struct("!Q")
"""The length in bytes of the next chunk in a spool."""

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
_unpacker = msgspec.msgpack.Decoder(list[Placed])


def jobs_from_json(document: bytes, now_us: int) -> list[NewJob]:
    """Return the jobs of one JSON text, an object or an array of objects. Raises BadInput.

    now_us: the current time, UTC, for times such as `in 2h`.
    """
    document = _without_mark(document)
    if not document.lstrip().startswith(b"["):
        return [_job(document, now_us)]
    texts = _decoded(_array.decode, document)
    return [_job_at(f"job {n}", bytes(text), now_us) for n, text in enumerate(texts, 1)]


def _temporary_file() -> IO[bytes]:
    from tempfile import TemporaryFile

    try:
        return TemporaryFile()
    except OSError as error:
        folder = error.filename or os.environ.get("TMPDIR") or "/tmp"
        raise TemporaryFull(str(folder), str(error.strerror)) from None


class Spool:
    """Checked jobs in a temporary file, so that memory use does not grow with their number."""

    def __init__(
        self, source: IO[bytes], now_us: int, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """Read and check all of `source`.

        progress: called with the number of jobs read so far. Raises BadInput, which names the
        line, at the first text that is not a valid job.
        """
        self._file = _temporary_file()
        self._count = 0
        for chunk in _chunked(_read(source, now_us)):
            self._write(chunk)
            self._count += len(chunk)
            progress(self._count)

    def _write(self, chunk: list[Placed]) -> None:
        """Append to the temporary file. Raises TemporaryFull, which names its folder."""
        packed = _packer.encode(chunk)
        try:
            self._file.write(_SIZE.pack(len(packed)) + packed)
            self._file.flush()
        except OSError as error:
            from tempfile import gettempdir

            raise TemporaryFull(gettempdir(), str(error.strerror)) from None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[NewJob]:
        return (job for chunk in self._chunks() for _, job in chunk)

    def _chunks(self) -> Iterator[list[Placed]]:
        self._file.seek(0)
        while size := self._file.read(_SIZE.size):
            yield _unpacker.decode(self._file.read(*_SIZE.unpack(size)))

    def place(self, n: int) -> str:
        """Return the place of the `n`th job (from 1): `line 57`, or `job 3` of an array."""
        placed = (line for chunk in self._chunks() for line, _ in chunk)
        line = next(islice(placed, n - 1, None))
        return f"line {line}" if line else f"job {n}"


def _chunked(jobs: Iterator[Placed]) -> Iterator[list[Placed]]:
    """Yield lists of at most CHUNK jobs, and at most CHUNK_CHARACTERS of text before the last."""
    chunk: list[Placed] = []
    size = 0
    for placed in jobs:
        chunk.append(placed)
        size += _text_size(placed[1])
        if len(chunk) == CHUNK or size > CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _text_size(job: NewJob) -> int:
    """Return the number of characters in the large texts of a job."""
    size = len(job.command or "")
    if job.argv or job.env or job.tags:
        size += sum(map(len, (*(job.argv or ()), *job.env.values(), *job.tags.values())))
    return size


def _read(source: IO[bytes], now_us: int) -> Iterator[Placed]:
    """Yield the line and job for each job of a file.

    If the first line is an object by itself, each line is a job. Otherwise the file is one JSON
    text, and the line of each job is 0.
    """
    blank, line = 0, _without_mark(source.readline(LINE_BYTES))
    while line and not line.strip():
        blank, line = blank + 1, source.readline(LINE_BYTES)
    if _is_object(line):
        return _read_lines(chain([line], _lines(source)), blank + 1, now_us)
    document = b"\n" * blank + line + source.read(DOCUMENT_BYTES + 1)
    if len(document) > DOCUMENT_BYTES:
        raise BadInput(
            f"more than {DOCUMENT_BYTES >> 20} MB in one JSON text; use one job per line"
        )
    return ((0, job) for job in (jobs_from_json(document, now_us) if document.strip() else ()))


def _without_mark(text: bytes) -> bytes:
    """Remove the byte order mark that some editors write. Raises BadInput for UTF-16."""
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadInput("it is UTF-16; save it as UTF-8")
    return text.removeprefix(codecs.BOM_UTF8)


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    while line := source.readline(LINE_BYTES):
        yield line


def _read_lines(lines: Iterator[bytes], number: int, now_us: int) -> Iterator[Placed]:
    for n, line in enumerate(lines, number):
        if len(line) == LINE_BYTES:
            raise BadInput(f"line {n}: longer than {LINE_BYTES >> 20} MB")
        if line.strip():
            yield n, _job_at(f"line {n}", line, now_us)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def _job_at(place: str, text: bytes, now_us: int) -> NewJob:
    """Return the job of a JSON text. place: the start of the message if BadInput is raised."""
    try:
        return _job(text, now_us)
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from None


def _job(text: bytes, now_us: int) -> NewJob:
    keys = _decoded(_any_number, text)
    if not isinstance(keys, dict):
        kind = _KINDS[type(keys)]
        raise BadInput(f'a job is a JSON object such as {{"command": "make"}}, not {kind}')
    _refuse_duplicate_keys(text, keys)
    return new_job(keys, now_us)


def _any_number(text: bytes) -> Any:
    """Decode a JSON text like msgspec.json.decode, and raise the same errors.

    A number beyond the range of a double becomes infinity, which the check of its key refuses.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError as error:
        from json import loads  # rarely needed

        try:
            return loads(text, parse_constant=_refuse_constant)
        except ValueError:
            raise error from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


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
    """Return an error message that is clearer than `error`, which is msgspec's.

    msgspec calls half a surrogate pair truncated, and gives positions in bytes only.
    """
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


def _refuse_duplicate_keys(text: bytes, keys: dict[str, Any]) -> None:
    """Raise BadInput if a key appears twice in an object: the decoder would keep the last value.

    Without duplicates, the text has as many colons outside strings as the decoded value has keys.
    """
    if text.count(b":") == len(keys):  # the usual case: no value is an object or has a colon
        return
    count = _key_count(keys)
    if text.count(b":") != count and re.sub(_STRING, b"", text).count(b":") != count:
        raise BadInput("one of its keys is given twice")


def _key_count(value: Any) -> int:
    """Return the number of keys in all objects of a decoded value."""
    if isinstance(value, dict):
        return len(value) + sum(map(_key_count, value.values()))
    return sum(map(_key_count, value)) if isinstance(value, list) else 0

"""Compare the outputs of attempts with their sizes and SHA-256 digests in the log."""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Literal, NamedTuple

from eventstore.output_files import Piece, Pieces, folder_name, pieces_next_to
from eventstore.queue_file import open_copy
from eventstore.store import OnProgress, Reader

from ..text.sizes import size
from .reader import pieces_before

REPORTED_EVERY = 1_000
"""The number of outputs between two reports of the progress."""

HasAll = Callable[[str, int, int], bool]
"""Returns whether an output can be read completely. Arguments: job, attempt, bytes kept."""

Where = Literal["rows", "rows and files"]
"""Which outputs to check: only the short ones in the database, or the long ones in files too."""


class OutputProblem(NamedTuple):
    """An output that differs from what the last event of its attempt recorded."""

    job: str
    attempt: int
    kind: Literal["changed", "missing"]
    """changed: the stored output has another digest. missing: it is not stored, or a part of it has
    not arrived from the machine of its worker.
    """
    folder: str | None
    """Name of the folder with its files; None if it is stored in the database."""
    position: int
    """Position of the event that recorded the output; 0 if no event did."""
    words: str
    """The problem as a sentence without a full stop."""


def check_outputs(
    tx: Reader,
    pieces: Pieces,
    where: Where = "rows and files",
    on_progress: OnProgress = lambda _, __: None,
    has_all: HasAll = lambda _, __, ___: True,
) -> Iterator[OutputProblem]:
    """Yield a problem for each output that differs from the log, in the order of the log.

    Outputs that the log does not mention come last. pieces: returns the output of an attempt that
    is stored in files. has_all: see `Store.has_all`; an output that has not arrived is missing.
    """
    end = tx.head().position
    for count, row in enumerate(tx.recorded_outputs()):
        position, job, attempt, kept_bytes, digest, total_bytes, kept = row
        if count % REPORTED_EVERY == 0:
            on_progress(position, end)
        name: str | None = None
        stored: Iterable[bytes] = [] if kept is None else [kept]
        if total_bytes is not None and kept is None:
            if where == "rows":
                continue
            name = folder_name(job, attempt)
            stored = _data(pieces_before(pieces(job, attempt), total_bytes))
        kind = _compared(stored, kept_bytes or 0, digest)
        if kind == "changed" and name and not has_all(job, attempt, kept_bytes or 0):
            kind = "missing"
        if kind:
            yield _problem(job, attempt, kind, name, position, kept_bytes or 0)
    for job, attempt in tx.unrecorded_outputs():
        words = f"job {job}, attempt {attempt}: it has an output, but the log has none of it"
        yield OutputProblem(job, attempt, "changed", None, 0, words)


def outputs_of_copy(path: str, name: str) -> list[OutputProblem]:
    """Check all outputs of a copy that no other process has open.

    name: the file that error messages name. Raises StorageFailed.
    """
    with pieces_next_to(path) as pieces, open_copy(path, name) as tx:
        return list(check_outputs(tx, pieces))


def _data(stored: Iterable[Piece]) -> Iterator[bytes]:
    return (piece.data for piece in stored)


def _compared(
    stored: Iterable[bytes], kept_bytes: int, digest: str | None
) -> Literal["changed", "missing"] | None:
    """Return what is wrong with the stored bytes of an output; None if they match the log."""
    actual, actual_bytes = sha256(), 0
    for data in stored:
        actual.update(data)
        actual_bytes += len(data)
    if actual_bytes == 0:
        return "missing" if kept_bytes else None
    if actual_bytes == kept_bytes and actual.hexdigest() == digest:
        return None
    return "changed"


def _problem(
    job: str,
    attempt: int,
    kind: Literal["changed", "missing"],
    folder: str | None,
    position: int,
    kept_bytes: int,
) -> OutputProblem:
    what = f"its output ({size(kept_bytes)})"
    if kind == "missing":
        words = f"job {job}, attempt {attempt}: {what} is missing"
    else:
        words = (
            f"job {job}, attempt {attempt}: {what} is not what position {position} of the log"
            " recorded; it was changed or damaged"
        )
    return OutputProblem(job, attempt, kind, folder, position, words)

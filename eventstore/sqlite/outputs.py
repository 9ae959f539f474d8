"""The short outputs of attempts: primary data, which a replay does not change."""

from typing import NamedTuple

from ..store import Reader, Writer

PUT = "INSERT OR REPLACE INTO outputs VALUES (:job, :attempt, :total_bytes, :kept)"

# By the primary key.
GET = "SELECT total_bytes, kept FROM outputs WHERE job = :job AND attempt = :attempt"


class StoredOutput(NamedTuple):
    """The output of an attempt, or its size if it is stored in files."""

    total_bytes: int
    """Size of the whole output."""
    kept: bytes | None
    """The part that was kept; None if it is stored in files of the side folder."""


def put(tx: Writer, job_id: str, attempt: int, total_bytes: int, kept: bytes | None) -> None:
    """Store the output of an attempt, in the transaction that records its end.

    kept: None if it is stored in files of the side folder.
    """
    tx.execute(PUT, {"job": job_id, "attempt": attempt, "total_bytes": total_bytes, "kept": kept})


def get(tx: Reader, job_id: str, attempt: int) -> StoredOutput | None:
    """Return the stored output of an attempt; None if there is none."""
    rows = tx.query(GET, {"job": job_id, "attempt": attempt})
    return StoredOutput(*rows[0]) if rows else None

"""What attempts printed, as far as it is short: primary data, which no replay touches."""

from typing import NamedTuple

from ..store import Reader, Writer

PUT = "INSERT OR REPLACE INTO outputs VALUES (:job, :attempt, :total_bytes, :kept)"

# By the primary key.
GET = "SELECT total_bytes, kept FROM outputs WHERE job = :job AND attempt = :attempt"


class StoredOutput(NamedTuple):
    """An attempt's output."""

    total_bytes: int
    """All it printed."""
    kept: bytes | None
    """What of it was kept; null where that stands in files beside the database."""


def put(tx: Writer, job_id: str, attempt: int, total_bytes: int, kept: bytes | None) -> None:
    """Keep the output of an attempt, in the transaction that records its end."""
    tx.execute(PUT, {"job": job_id, "attempt": attempt, "total_bytes": total_bytes, "kept": kept})


def get(tx: Reader, job_id: str, attempt: int) -> StoredOutput | None:
    """The output kept; None where nothing was."""
    found = tx.query(GET, {"job": job_id, "attempt": attempt})
    return StoredOutput(*found[0]) if found else None

"""The short outputs of attempts: primary data, which a replay does not change."""

from typing import NamedTuple

from ..store import Reader, Writer

ENDS = ("succeeded", "failed", "cancelled")
"""Types of the events that end an attempt."""

# By position: each event once. The row of each by its primary key.
RECORDED = """
    SELECT position, stream, data ->> 'attempt', data ->> 'kept_bytes', data ->> 'output_sha256',
           total_bytes, kept
      FROM events LEFT JOIN outputs ON job = stream AND attempt = data ->> 'attempt'
     WHERE type IN (?, ?, ?) AND data ->> 'output_bytes' > 0 ORDER BY position"""

# Each row once. The events of its job by the index of streams.
UNRECORDED = """
    SELECT job, attempt FROM outputs
     WHERE length(kept) > 0 AND NOT EXISTS (
           SELECT 1 FROM events
            WHERE stream = job AND type IN (?, ?, ?)
              AND data ->> 'attempt' = attempt AND data ->> 'output_bytes' > 0)"""

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

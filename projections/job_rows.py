"""The table `jobs`, of which several read models read rows, and the jobs that its rows hold."""

from functools import cache

import msgspec

from eventstore.events.job import Enqueued
from eventstore.store import Row
from eventstore.tables import OfJson, Table

from .errors import DamagedRow
from .folds.job import Job

TABLE = Table(
    "jobs",
    {
        "born": "integer",
        "id": "text",
        "spec": "text",
        "state": "text",
        "version": "integer",
        "position": "integer",
        "enqueued_at": "integer",
        "changed_at": "integer",
        "due_at": "integer or null",
        "delay_us": "integer or null",
        "attempt": "integer",
        "skipped": "integer",
        "worker": "text or null",
        "round": "integer",
        "retries_used": "integer",
        "lost_in_row": "integer",
        "cancel_requested": "integer",
        "succeeded_runs": "integer",
        "failed_runs": "integer",
        "failure": "text or null",
        "exit_code": "integer or null",
        "signal": "integer or null",
        "queue": "text",
        "priority": "integer",
    },
    key=("born",),
    unique=(("id",),),
    computed={"command": OfJson("spec", "command")},
    on_server={
        # Each job is updated about three times, and old versions make the index `ready` slow.
        "autovacuum_vacuum_scale_factor": "0.01",
        "autovacuum_analyze_scale_factor": "0.02",
        # A row of more than 2 kB keeps its spec elsewhere, so that an update does not copy it: with
        # a spec of 1,500 bytes, it writes 0.8 kB instead of 3.1.
        "toast_tuple_target": "256",
    },
)

STATE = tuple(TABLE.columns)[: len(Job.__struct_fields__)]
"""The columns that hold the fields of a job's state, in the same order."""

COLUMNS = ", ".join(STATE)

_SPEC, _CANCEL_REQUESTED = STATE.index("spec"), STATE.index("cancel_requested")


@cache
def _spec() -> msgspec.json.Decoder[Enqueued]:
    """Return the decoder. It is created when the first row is read: enqueueing reads no rows."""
    return msgspec.json.Decoder(Enqueued)


def job_from(row: Row) -> Job:
    """Return the job of a row of COLUMNS. Raises DamagedRow."""
    values = list(row)
    values[_CANCEL_REQUESTED] = bool(row[_CANCEL_REQUESTED])
    try:
        values[_SPEC] = _spec().decode(row[_SPEC])
    except msgspec.MsgspecError:
        raise DamagedRow("jobs", f"job {row[1]}") from None
    return Job(*values)

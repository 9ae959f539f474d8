"""Computing a state from events without a log, for tests of folds and decisions."""

from collections.abc import Iterable

from eventstore import codec
from eventstore.events.fact import Fact
from eventstore.events.job import Enqueued, JobEvent
from eventstore.events.recorded import Recorded
from eventstore.events.worker import WorkerStarted
from projections.folds.job import Job, evolve

SECOND_US = 1_000_000
BEGAN_US = 1_700_000_000 * SECOND_US
"""The recorded time of a test's first event; each further event is a second later."""


def recorded(events: Iterable[Fact], stream: str = "1", first: int = 1) -> list[Recorded]:
    """Return these events as the first of a stream, a second apart, from position `first` on."""
    return [
        Recorded(
            position=first + n,
            stream=stream,
            version=1 + n,
            type=codec.type_of(event),
            recorded_at_us=BEGAN_US + n * SECOND_US,
            actor="anna@box",
            batch=first + n,
            cause=None,
            data=codec.encode(event),
            hash=bytes(32),
            event=event,  # type: ignore[arg-type]
        )
        for n, event in enumerate(events)
    ]


def given(*events: JobEvent) -> Job:
    """Return the job after these events."""
    job = None
    for record in recorded(events):
        job = evolve(job, record)
    assert job is not None
    return job


def worker_started(name: str = "box") -> WorkerStarted:
    """Return the event of a worker with two slots and without processes."""
    return WorkerStarted(
        name=name,
        host="box",
        boot_id="",
        pid=0,
        pid_started=0,
        keeper_pid=0,
        keeper_pid_started=0,
        slots=2,
        token="t",
    )


def enqueued(command: str = "true", max_retries: int = 3, **more: object) -> Enqueued:
    """Return the event of a job with the default policy."""
    return Enqueued(command=command, max_retries=max_retries, backoff_base=2.0, **more)  # type: ignore[arg-type]

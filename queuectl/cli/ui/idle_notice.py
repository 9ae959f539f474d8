"""A note on stderr, while a command waits for jobs, that no worker would run them."""

from collections.abc import Callable, Iterable

from eventstore.store import Reader
from projections.folds.job import Job
from projections.read_models import workers

from ...core.snapshot import Reading
from ...text.hints import no_worker
from .invocation import with_named_db
from .living_workers import living_workers
from .printer import note


class IdleNotice:
    """Prints the note once, and again after each change of its text."""

    def __init__(self) -> None:
        self._last: str | None = None

    def say(
        self,
        reading: Reading,
        tx: Reader,
        waiting: Iterable[Job],
        write_note: Callable[[str], None] = note,
    ) -> None:
        """Print a note if no worker serves the queue of a job. waiting: jobs that have not ended.

        Running jobs are ignored if their worker is alive. write_note: prints the line on stderr.
        """
        living = living_workers(reading.store, workers.active(tx))
        serving = {worker.id for worker in living}
        queues = {job.spec.queue for job in waiting if job.worker not in serving}
        hint = no_worker(living, queues) if queues else None
        if hint is not None and hint != self._last:
            write_note(with_named_db(hint))
        self._last = hint

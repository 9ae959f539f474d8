"""A note on stderr, while a command waits for jobs, that no worker would run them."""

from collections.abc import Iterable

from eventstore.store import Reader
from projections.folds.job import Job
from projections.read_models import workers

from ...text.hints import no_worker
from .invocation import with_named_db
from .printer import note


class IdleNotice:
    """Prints the note once, and again each time it has changed."""

    def __init__(self) -> None:
        self._last: str | None = None

    def say(self, tx: Reader, waiting: Iterable[Job]) -> None:
        """Print a note if no worker serves the queue of a job. waiting: jobs that have not ended.

        Running jobs are ignored: they have a worker.
        """
        queues = {job.spec.queue for job in waiting if job.state != "processing"}
        hint = no_worker(workers.active(tx), queues) if queues else None
        if hint is not None and hint != self._last:
            note(with_named_db(hint))
        self._last = hint

"""Said on stderr while a command waits for jobs: that no worker would run them."""

from collections.abc import Iterable

from eventstore.store import Reader
from projections.folds.job import Job
from projections.read_models import workers

from ...text.hints import no_worker
from .invocation import with_named_db
from .printer import note


class IdleNotice:
    """Says it once, and again after workers have come and gone."""

    def __init__(self) -> None:
        self._said: str | None = None

    def say(self, tx: Reader, waiting: Iterable[Job]) -> None:
        """waiting: the jobs that have not ended; a running job has its worker."""
        queues = {job.spec.queue for job in waiting if job.state != "processing"}
        hint = no_worker(workers.active(tx), queues) if queues else None
        if hint is not None and hint != self._said:
            note(with_named_db(hint))
        self._said = hint

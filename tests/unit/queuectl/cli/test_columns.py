"""The columns of lists."""

from eventstore.events.job import Claimed, Enqueued, Failed, Requeued, ScheduledRetry
from queuectl.cli.ui.columns import REASON_COLUMN
from tests.given import given


def test_only_a_failed_or_dead_job_shows_the_reason_of_its_failure() -> None:
    lost = (
        Enqueued(command="x", max_retries=3, backoff_base=2.0),
        Claimed(attempt=1, worker="5f", slot=1),
        Failed(attempt=1, reason="worker-lost", counted=False),
    )
    requeued = (*lost, Requeued(why="worker-lost"))
    running = (*requeued, Claimed(attempt=2, worker="5f", slot=1))
    retry = ScheduledRetry(attempt=2, retry=1, delay_us=2, due_at_us=9)
    failed = (*running, Failed(attempt=2, reason="timeout"), retry)
    shown = [REASON_COLUMN.plain(given(*events)) for events in (requeued, running, failed)]
    assert shown == ["", "", "timed out"]

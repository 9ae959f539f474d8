"""What an attempt tells of its end."""

from typing import Any

from eventstore import codec
from eventstore.events.job import Enqueued, Succeeded
from projections.folds.job import Job
from queuectl.worker.attempt import Attempt
from queuectl.worker.launcher import Child, Exit
from queuectl.worker.mark import Mark
from queuectl.worker.output import Output

SPEC = Enqueued(command="true", max_retries=0, backoff_base=2.0)


class NothingLeft:
    """A launcher whose jobs leave no orphans."""

    def orphans(self, mark: Mark) -> list[int]:
        return []


def attempt(started_us: int) -> Attempt:
    launcher: Any = NothingLeft()
    job = Job(
        born=1,
        id="1",
        spec=SPEC,
        state="processing",
        version=2,
        position=2,
        enqueued_at_us=0,
        changed_at_us=0,
        attempt=1,
    )
    output = Output(-1, "1", 1, 1_000)
    return Attempt(job, 1, Mark("cookie", 1), Child(7, None), output, launcher, started_us)


def test_job_faster_than_a_look_at_the_clock_took_no_time() -> None:
    quick = attempt(started_us=1_000)
    quick.exited(Exit(7, 0, None, 10, None), now_us=990)
    assert quick.gone(990)
    usage = quick.outcome().usage
    assert usage.duration_us == 0
    told = Succeeded(attempt=1, duration_us=usage.duration_us)
    assert codec.decode(1, "succeeded", codec.encode(told)) == told

"""How many jobs are prefetched, and when their claims are released."""

from eventstore.events.job import Enqueued, Usage
from projections.folds.job import Job
from queuectl.core.requests import Outcome, Release
from queuectl.worker.prefetch import MOST_PER_SLOT, PAUSE_US, SOON_US, Prefetch
from queuectl.worker.rounds import Assignment, Result


def job(job_id: str) -> Job:
    return Job(
        born=1,
        id=job_id,
        spec=Enqueued(command="true", max_retries=0, backoff_base=2.0),
        state="processing",
        version=2,
        position=2,
        enqueued_at_us=0,
        changed_at_us=0,
        attempt=1,
    )


def ended(duration_us: int) -> Result:
    usage = Usage(duration_us=duration_us)
    return Result(job("1"), Outcome(ended="exit", exit_code=0, usage=usage), None)


def claimed(*slots: int) -> list[Assignment]:
    return [Assignment(slot, job(str(number)), None) for number, slot in enumerate(slots, 1)]


def test_only_free_slots_are_claimed_for_before_a_job_has_ended() -> None:
    assert Prefetch(4).slots([2, 3], [], 0) == [2, 3]


def test_long_jobs_are_not_prefetched() -> None:
    assert Prefetch(2).slots([1], [ended(SOON_US)], 0) == [1]
    assert Prefetch(2).slots([1], [ended(10), ended(3 * SOON_US)], 0) == [1]


def test_short_jobs_are_prefetched_for_a_moment_of_work() -> None:
    assert Prefetch(2).slots([1], [ended(SOON_US // 3)], 0) == [1, *(1, 2), *(1, 2)]


def test_prefetch_has_a_limit_per_slot() -> None:
    assert len(Prefetch(3).slots([], [ended(1)], 0)) == 3 * MOST_PER_SLOT


def test_prefetched_claims_start_in_order() -> None:
    prefetch = Prefetch(2)
    prefetch.add(claimed(1, 2, 1), now_us=0)
    first, second = prefetch.next([1, 2]), prefetch.next([1, 2])
    assert [(claim.job.id, claim.slot) for claim in (first, second)] == [("1", 1), ("2", 2)]
    assert prefetch.next([2]).slot == 2
    assert len(prefetch) == 0


def test_claims_that_do_not_begin_are_released() -> None:
    prefetch = Prefetch(1)
    prefetch.add(claimed(1, 1, 1), now_us=0)
    prefetch.put_back(prefetch.next([1]))
    assert prefetch.release_cancelled({("2", 1)}) == [
        Release(job_id="2", attempt=1, reason="cancelled")
    ]
    assert [release.job_id for release in prefetch.release("stop")] == ["1", "3"]
    assert len(prefetch) == 0


def test_after_expired_claims_only_free_slots_are_claimed_for() -> None:
    prefetch = Prefetch(1)
    prefetch.add(claimed(1, 1), now_us=0)
    assert len(prefetch.release_expired(now_us=100)) == 2
    assert prefetch.slots([1], [ended(1)], 100 + PAUSE_US - 1) == [1]
    assert len(prefetch.slots([1], [ended(1)], 100 + PAUSE_US)) > 1


def test_waiting_claims_count_towards_the_limit() -> None:
    prefetch = Prefetch(2)
    prefetch.add(claimed(1, 2, 1), now_us=0)
    assert len(prefetch.slots([], [ended(1)], 0)) == 2 * MOST_PER_SLOT - 3

"""How many jobs are claimed ahead, and what becomes of those that do not begin."""

from eventstore.events.job import Enqueued, Usage
from projections.folds.job import Job
from queuectl.core.requests import Outcome, Release
from queuectl.worker.prefetch import MODEST_US, MOST_A_SLOT, SOON_US, Ahead
from queuectl.worker.rounds import Claimed, Result


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


def claimed(*slots: int) -> list[Claimed]:
    return [Claimed(slot, job(str(number)), None) for number, slot in enumerate(slots, 1)]


def test_only_free_slots_are_claimed_for_while_nothing_has_ended() -> None:
    assert Ahead(4).seats([2, 3], [], 0) == [2, 3]


def test_long_jobs_are_not_claimed_ahead() -> None:
    assert Ahead(2).seats([1], [ended(SOON_US)], 0) == [1]
    assert Ahead(2).seats([1], [ended(10), ended(3 * SOON_US)], 0) == [1]


def test_as_many_as_the_slots_finish_in_a_moment_are_claimed_ahead() -> None:
    assert Ahead(2).seats([1], [ended(SOON_US // 3)], 0) == [1, *(1, 2), *(1, 2)]


def test_however_short_they_are_there_is_a_most() -> None:
    assert len(Ahead(3).seats([], [ended(1)], 0)) == 3 * MOST_A_SLOT


def test_they_begin_in_order_in_their_own_slot_if_it_is_free() -> None:
    ahead = Ahead(2)
    ahead.add(claimed(1, 2, 1), now_us=0)
    assert [(one.job.id, one.slot) for one in (ahead.next([1, 2]), ahead.next([1, 2]))] == [
        ("1", 1),
        ("2", 2),
    ]
    assert ahead.next([2]).slot == 2
    assert len(ahead) == 0


def test_what_does_not_begin_is_given_back() -> None:
    ahead = Ahead(1)
    ahead.add(claimed(1, 1, 1), now_us=0)
    ahead.put_back(ahead.next([1]))
    assert ahead.give_back("cancelled", lambda one: one.job.id == "2") == [
        Release(job_id="2", attempt=1, reason="cancelled")
    ]
    assert [release.job_id for release in ahead.give_back("stop")] == ["1", "3"]
    assert len(ahead) == 0


def test_after_claims_that_waited_in_vain_only_free_slots_are_claimed_for() -> None:
    ahead = Ahead(1)
    ahead.add(claimed(1, 1), now_us=0)
    assert len(ahead.too_many(now_us=100)) == 2
    assert ahead.seats([1], [ended(1)], 100 + MODEST_US - 1) == [1]
    assert len(ahead.seats([1], [ended(1)], 100 + MODEST_US)) > 1


def test_what_is_claimed_already_is_not_claimed_for_again() -> None:
    ahead = Ahead(2)
    ahead.add(claimed(1, 2, 1), now_us=0)
    assert len(ahead.seats([], [ended(1)], 0)) == 2 * MOST_A_SLOT - 3

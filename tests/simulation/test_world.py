"""Several supervisors, crashes between any two steps, clock steps, cancels, all from a seed."""

from collections.abc import Iterable
from unittest.mock import patch

import pytest

from eventstore.events.job import Requeued
from projections.folds.job import Job
from queuectl.core.requests import OfClaim, Retry
from queuectl.worker.rounds import LogState, Rounds
from tests.simulation.world import World, story
from tests.torture.proof import amount
from tests.torture.simulation import SIMULATION, lived, shrunk

PARTS = 10


@pytest.mark.sampled
@pytest.mark.parametrize("part", range(PARTS))
def test_crashes_lose_no_job_and_double_no_result(part: int) -> None:
    runs = amount(SIMULATION) // PARTS
    tally = SIMULATION.run(runs, part * runs)
    assert tally.done == runs
    assert not tally.findings, "\n".join(tally.findings)


def test_the_same_seed_gives_the_same_log() -> None:
    heads = []
    for _ in range(2):
        world = World(7)
        world.run()
        heads.append(world.queue.store.head())
        world.close()
    assert heads[0] == heads[1]


def test_simulated_workers_do_crash() -> None:
    assert sum(story(seed).crashes for seed in range(100, 105)) > 0


def _matches_job_only(job: Job, request: OfClaim) -> bool:
    return job.state == "processing"


def _matches_all(job: Job, request: OfClaim) -> bool:
    return True


@pytest.mark.proof
@pytest.mark.parametrize("matched", [_matches_job_only, _matches_all])
def test_a_broken_rule_is_found_and_its_story_shortened(matched: object) -> None:
    with patch("queuectl.core.decisions.job._is_current_claim", matched):
        seed = next(seed for seed in range(1_000) if lived(seed))
        assert f"seed {seed}, " in shrunk(seed)


def _retry_in_any_state(job: Job, request: Retry) -> tuple[Requeued, ...]:
    return (Requeued(why="dlq"),)


@pytest.mark.proof
def test_an_event_that_breaks_a_rule_is_found_when_recorded() -> None:
    with patch("queuectl.core.decisions.job.retry", _retry_in_any_state):
        seed = next(seed for seed in range(100) if lived(seed))
        assert ": requeued of job" in shrunk(seed)


READ_LOG = Rounds.read_log


def _ignoring_cancels(rounds: Rounds, *, busy: bool) -> LogState:
    return READ_LOG(rounds, busy=busy)._replace(cancelled=set())


@pytest.mark.proof
def test_a_worker_that_ignores_cancels_is_found() -> None:
    with patch.object(Rounds, "read_log", _ignoring_cancels):
        seed = next(seed for seed in range(100) if lived(seed))
        assert "should have ended" in shrunk(seed)


@pytest.mark.parametrize("seed", [13])
def test_draining_worker_sleeps_while_jobs_wait(seed: int) -> None:
    """It once looked for claims that it may not make, in a busy loop."""
    story(seed)


def test_three_workers_share_a_queue() -> None:
    story(3, workers=3)


@pytest.mark.parametrize("seed", range(6))
def test_workers_hold_their_results_while_the_server_is_away(seed: int) -> None:
    story(seed, on_server=True)


@pytest.mark.proof
def test_results_that_are_dropped_in_an_outage_are_found() -> None:
    with (
        patch.object(Rounds, "undo", lambda rounds: None),
        pytest.raises(AssertionError, match="jobs are stuck"),
    ):
        _stories(range(200))


@pytest.mark.proof
def test_outages_of_many_stories_lose_nothing() -> None:
    _stories(range(1_000, 1_400))


def _stories(seeds: Iterable[int]) -> None:
    for seed in seeds:
        story(seed, on_server=True)

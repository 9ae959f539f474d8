"""Several supervisors, crashes between any two steps, clock steps, cancels: from a seed."""

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
@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
def test_crashes_lose_no_job_and_double_no_result(part: int) -> None:
    runs = amount(SIMULATION) // PARTS
    tally = SIMULATION.run(runs, part * runs)
    assert tally.done == runs
    assert not tally.found, "\n".join(tally.found)


def test_seed_is_the_whole_story() -> None:
    heads = []
    for _ in range(2):
        world = World(7)
        world.run()
        heads.append(world.queue.store.head())
        world.close()
    assert heads[0] == heads[1]


def test_simulated_workers_do_crash() -> None:
    assert sum(story(seed).crashes for seed in range(100, 105)) > 0


def _by_job_alone(job: Job, asked: OfClaim) -> bool:
    return job.state == "processing"


def _not_at_all(job: Job, asked: OfClaim) -> bool:
    return True


@pytest.mark.proof
@pytest.mark.parametrize("matched", [_by_job_alone, _not_at_all])
def test_broken_rule_is_found_and_its_story_made_short(matched: object) -> None:
    with patch("queuectl.core.decisions.job._runs", matched):
        seed = next(seed for seed in range(1_000) if lived(seed))
        assert f"seed {seed}, " in shrunk(seed)


def _whatever_it_is(job: Job, asked: Retry) -> tuple[Requeued, ...]:
    return (Requeued(why="dlq"),)


@pytest.mark.proof
def test_what_breaks_a_rule_is_found_when_it_is_recorded() -> None:
    with patch("queuectl.core.decisions.job.retry", _whatever_it_is):
        seed = next(seed for seed in range(100) if lived(seed))
        assert ": requeued of job" in shrunk(seed)


READ_LOG = Rounds.read_log


def _deaf_to_cancels(rounds: Rounds, *, busy: bool) -> LogState:
    return READ_LOG(rounds, busy=busy)._replace(cancelled=set())


@pytest.mark.proof
def test_worker_that_hears_of_no_cancel_is_found() -> None:
    with patch.object(Rounds, "read_log", _deaf_to_cancels):
        seed = next(seed for seed in range(100) if lived(seed))
        assert "was told to end, and runs" in shrunk(seed)


@pytest.mark.parametrize("seed", [13])
def test_draining_worker_sleeps_while_jobs_wait(seed: int) -> None:
    """It looked for claims that it may not make, round after round, without time passing."""
    story(seed)


def test_three_workers_share_a_queue() -> None:
    story(3, workers=3)

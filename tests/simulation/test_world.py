"""Several supervisors, crashes between any two steps, clock steps, cancels: from a seed."""

import pytest

from tests.simulation.world import World, story

SEEDS = range(40)


@pytest.mark.parametrize("seed", SEEDS)
def test_crashes_lose_no_job_and_double_no_result(seed: int) -> None:
    world = story(seed)
    assert len(world.enqueued) >= 10


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


@pytest.mark.parametrize("seed", [13])
def test_draining_worker_sleeps_while_jobs_wait(seed: int) -> None:
    """It looked for claims that it may not make, round after round, without time passing."""
    story(seed)


def test_three_workers_share_a_queue() -> None:
    story(3, workers=3)

"""The heart, with a server that answers late or not at all."""

import select

import pytest

from eventstore.errors import Away
from queuectl.worker import heart as module
from queuectl.worker.heart import Heart
from queuectl.worker.lease import Overdue

LEASE_US = 120_000_000


class TakenOver(Exception):
    """The fence was tripped."""


class NotedFence:
    """A fence that notes its deadlines."""

    deadline_us = 0

    def postpone(self, deadline_us: int) -> None:
        self.deadline_us = deadline_us

    def trip(self, why: str) -> None:
        raise TakenOver(why)


class Server:
    """The leases on a server; each answer takes a second."""

    def __init__(self) -> None:
        self.now_us = 0
        self.answer: dict[str, int] | None = {"me": 1}
        self.is_away = False

    def clock(self) -> int:
        return self.now_us

    def begin(self, worker_id: str, nonce: int) -> None:
        self.now_us += 1_000_000

    def beat(self, worker_id: str, nonce: int) -> dict[str, int] | None:
        self.now_us += 1_000_000
        if self.is_away:
            raise Away("queue", "none")
        return None if self.answer is None else dict(self.answer)

    def end(self, worker_id: str) -> None: ...
    def close(self) -> None: ...


class Beating:
    """A heart whose beats the test makes, and its server, fence and keeper."""

    def __init__(self, server: Server) -> None:
        self.server, self.fence = server, NotedFence()
        self.heart = Heart(server, "me", LEASE_US, self.fence)  # type: ignore[arg-type]

    def beat(self, at_us: int) -> None:
        self.server.now_us = at_us
        self.heart._beat()


@pytest.fixture
def beating(monkeypatch: pytest.MonkeyPatch) -> Beating:
    server = Server()
    monkeypatch.setattr(module, "boot_us", server.clock)
    return Beating(server)


def test_deadlines_are_counted_from_the_moment_of_sending(beating: Beating) -> None:
    beating.heart.begin()
    assert beating.fence.deadline_us == LEASE_US // 2
    beating.beat(at_us=10_000_000)
    assert beating.fence.deadline_us == LEASE_US // 2 + 10_000_000


def test_a_beat_without_an_answer_changes_nothing_and_is_repeated_soon(beating: Beating) -> None:
    beating.beat(at_us=0)
    pause_us = beating.heart._pause_us()
    beating.server.is_away = True
    beating.beat(at_us=10_000_000)
    assert (beating.fence.deadline_us, beating.heart.answers) == (LEASE_US // 2, 1)
    assert beating.heart._pause_us() == pause_us // 4


def test_a_heart_that_hurries_beats_soon_and_wakes_the_loop_at_the_answer(beating: Beating) -> None:
    beating.beat(at_us=0)
    pause_us = beating.heart._pause_us()
    beating.heart.hurry()
    beating.server.is_away = True
    pauses_us = []
    for _ in range(4):
        pauses_us.append(beating.heart._pause_us())
        beating.beat(at_us=1)
    assert pauses_us == [500_000, 1_000_000, 2_000_000, pause_us // 4]
    beating.server.is_away = False
    beating.beat(at_us=2)
    assert beating.heart._pause_us() == pause_us
    assert select.select([beating.heart], [], [], 0)[0]


def test_a_worker_that_was_taken_over_trips_its_fence(beating: Beating) -> None:
    beating.server.answer = None
    with pytest.raises(TakenOver, match="the jobs of worker me were taken over"):
        beating.beat(at_us=0)


def test_a_silent_worker_is_reported_with_its_last_nonce(beating: Beating) -> None:
    beating.server.answer = {"me": 1, "other": 7}
    beating.heart.leases_us = {"other": LEASE_US}
    for at_us in range(0, LEASE_US + 20_000_000, 10_000_000):
        assert beating.heart.take_overdue() == []
        beating.beat(at_us)
    assert beating.heart.take_overdue() == [Overdue("other", 7)]


def test_beats_are_frequent_enough_for_the_shortest_lease_of_others(beating: Beating) -> None:
    beating.heart.leases_us = {"other": 12_000_000}
    assert beating.heart._pause_us() == 1_000_000


def test_a_shorter_lease_of_others_ends_the_pause(beating: Beating) -> None:
    for leases_us, wakes in (
        ({"a": LEASE_US}, True),
        ({"a": LEASE_US, "b": LEASE_US}, False),
        ({"a": LEASE_US, "b": 12_000_000}, True),
        ({"a": LEASE_US}, False),
    ):
        beating.heart._woken.clear()
        beating.heart.leases_us = leases_us
        assert beating.heart._woken.is_set() == wakes, leases_us

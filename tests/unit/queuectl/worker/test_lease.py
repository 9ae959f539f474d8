"""Leases: the deadline of the own worker, and when another one may be taken over."""

from hypothesis import given
from hypothesis import strategies as st

from queuectl.worker.lease import Lease, Overdue, Watch, beat_us, slack_us

SECOND_US = 1_000_000
LEASE_US = 120 * SECOND_US
LEASES = {"w": LEASE_US}
BEAT_US = beat_us(LEASE_US)


def watching(watch: Watch, nonces: dict[int, int]) -> list[tuple[int, Overdue]]:
    """Beat regularly. nonces: from which second the server shows which nonce."""
    overdue = []
    nonce = nonces[0]
    for second in range(0, 400, 10):
        nonce = nonces.get(second, nonce)
        at_us = second * SECOND_US
        answer = watch.saw(at_us, at_us + SECOND_US, {"w": nonce}, LEASES)
        overdue += [(second, worker) for worker in answer]
    return overdue


def test_deadline_is_half_a_lease_after_the_beat_was_sent() -> None:
    assert Lease(LEASE_US).confirmed(sent_us=7) == LEASE_US // 2 + 7


def test_deadline_does_not_go_back_when_an_older_beat_is_confirmed_later() -> None:
    lease = Lease(LEASE_US)
    later = lease.confirmed(10)
    assert lease.confirmed(5) == later


def test_beats_are_a_twelfth_of_the_lease_and_at_most_ten_seconds_apart() -> None:
    assert beat_us(60 * SECOND_US) == 5 * SECOND_US
    assert beat_us(LEASE_US) == beat_us(86_400 * SECOND_US) == beat_us(None) == 10 * SECOND_US


def test_keeper_acts_a_fortieth_of_the_lease_later() -> None:
    assert slack_us(LEASE_US) == 3 * SECOND_US


def test_worker_is_overdue_when_its_nonce_was_seen_for_a_whole_lease() -> None:
    assert watching(Watch(), {0: 7})[0] == (130, Overdue("w", 7))


def test_worker_stays_overdue_until_it_is_taken_over() -> None:
    assert len(watching(Watch(), {0: 7})) == 27


def test_a_new_nonce_proves_life() -> None:
    assert watching(Watch(), {0: 7, 120: 8})[0] == (250, Overdue("w", 8))


def test_a_gap_of_a_quarter_of_a_lease_begins_the_count_again() -> None:
    watch = Watch()
    watch.saw(0, 0, {"w": 7}, LEASES)
    late_us = LEASE_US + 1
    assert watch.saw(late_us, late_us, {"w": 7}, LEASES) == []
    assert watching_on(watch, late_us) == late_us + LEASE_US


def watching_on(watch: Watch, after_us: int) -> int:
    """Beat regularly until the worker is overdue, and return when."""
    at_us = after_us
    while True:
        at_us += BEAT_US
        if watch.saw(at_us, at_us, {"w": 7}, LEASES):
            return at_us


def test_worker_without_an_end_by_time_is_never_overdue() -> None:
    watch = Watch()
    assert not any(watch.saw(n * BEAT_US, n * BEAT_US, {"w": 7}, {}) for n in range(100))


def test_worker_without_a_row_is_forgotten() -> None:
    watch = Watch()
    watch.saw(0, 0, {"w": 7}, LEASES)
    watch.saw(BEAT_US, BEAT_US, {}, LEASES)
    assert watching_on(watch, BEAT_US) == 2 * BEAT_US + LEASE_US


def test_server_that_lost_beats_does_not_hide_later_ones() -> None:
    """With counters instead of random numbers, each of these answers would be the same."""
    watch = Watch()
    for number in range(100):
        # Since the last answer the server has lost a beat, and the worker has beaten again.
        at_us = number * BEAT_US
        assert watch.saw(at_us, at_us, {"w": hash(("nonce", number))}, LEASES) == []


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 5), st.booleans()), min_size=20),
    st.floats(0.8, 1.25),
    st.floats(0.8, 1.25),
)
def test_jobs_have_ended_before_their_worker_is_overdue(
    steps: list[tuple[int, int, bool]], holder_rate: float, watcher_rate: float
) -> None:
    """A worker and its watcher read the server in turns; some beats get no answer."""
    lease, watch, now_s, nonce = Lease(LEASE_US), Watch(), 0.0, 0
    kill_s = LEASE_US / 12 / SECOND_US
    ends_s = lease.confirmed(0) / SECOND_US / holder_rate + kill_s
    for number, (pause_s, travel_s, answered) in enumerate(steps):
        sent_s, now_s = now_s, now_s + travel_s
        if sent_s < ends_s - kill_s and answered:
            nonce = number
            sent_us = round(sent_s * holder_rate * SECOND_US)
            ends_s = lease.confirmed(sent_us) / SECOND_US / holder_rate + kill_s
        sent_by_watcher_us = round(now_s * watcher_rate * SECOND_US)
        now_s += travel_s
        overdue = watch.saw(
            sent_by_watcher_us, round(now_s * watcher_rate * SECOND_US), {"w": nonce}, LEASES
        )
        assert not overdue or sent_by_watcher_us / SECOND_US / watcher_rate >= ends_s - 1e-5
        now_s += pause_s

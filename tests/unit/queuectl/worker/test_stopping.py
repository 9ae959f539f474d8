"""The rule of the first, the second and the third signal."""

from queuectl.worker.stopping import Stopping, Urgency


def test_signals_drain_then_end_then_kill() -> None:
    stopping = Stopping()
    seen = []
    for _ in range(4):
        stopping.signalled(direct=0, passed_on=1)
        seen.append(stopping.urgency)
    assert seen == [Urgency.DRAIN, Urgency.NOW, Urgency.AT_ONCE, Urgency.AT_ONCE]


def test_request_seen_twice_is_one_request() -> None:
    stopping = Stopping()
    stopping.requested("drain")
    stopping.requested("drain")
    assert (stopping.urgency, stopping.signals) == (Urgency.DRAIN, 0)


def test_urgency_never_falls() -> None:
    stopping = Stopping()
    stopping.requested("now")
    stopping.requested("drain")
    stopping.requested(None)
    assert stopping.urgency == Urgency.NOW


def test_one_signal_after_a_recorded_drain_ends_what_runs() -> None:
    stopping = Stopping()
    stopping.requested("drain")
    stopping.signalled(direct=0, passed_on=1)
    assert stopping.urgency == Urgency.NOW


def test_signal_to_keeper_and_supervisor_at_once_is_one_request() -> None:
    stopping = Stopping()
    for direct, passed_on in ((1, 0), (0, 1)):
        stopping.signalled(direct, passed_on)
        assert (stopping.urgency, stopping.signals) == (Urgency.DRAIN, 1)
    stopping.signalled(direct=1, passed_on=1)
    assert (stopping.urgency, stopping.signals) == (Urgency.NOW, 2)

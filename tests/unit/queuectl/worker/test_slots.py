"""Seats and reminders."""

from queuectl.worker.slots import Slots


def seated(slots: Slots[str], run: str) -> int:
    slot = slots.free()[0]
    slots.sit(slot, run)
    return slot


def test_lowest_free_slot_is_taken_first() -> None:
    slots: Slots[str] = Slots(3)
    assert [seated(slots, run) for run in "abc"] == [1, 2, 3]
    slots.leave(3)
    slots.leave(1)
    assert seated(slots, "d") == 1
    assert (list(slots), slots.free()) == (["b", "d"], [3])


def test_run_is_due_once_and_at_its_time() -> None:
    slots: Slots[str] = Slots(2)
    slots.remind(seated(slots, "a"), 20)
    slots.remind(seated(slots, "b"), 10)
    assert (slots.next_reminder(), slots.due(9)) == (10, [])
    assert (slots.due(15), slots.due(15)) == (["b"], [])
    assert slots.due(30) == ["a"]
    assert slots.next_reminder() is None


def test_two_reminders_of_one_run_are_one_when_both_are_due() -> None:
    slots: Slots[str] = Slots(1)
    slot = seated(slots, "a")
    slots.remind(slot, 10)
    slots.remind(slot, 20)
    assert slots.due(20) == ["a"]


def test_reminder_of_one_who_left_is_not_for_the_next_in_its_slot() -> None:
    slots: Slots[str] = Slots(1)
    slot = seated(slots, "a")
    slots.remind(slot, 10)
    slots.leave(slot)
    assert slots.next_reminder() is None
    seated(slots, "b")
    assert (slots.next_reminder(), slots.due(10)) == (None, [])

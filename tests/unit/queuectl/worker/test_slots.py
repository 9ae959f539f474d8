"""Slots, their occupants and reminders."""

from queuectl.worker.slots import Slots


def occupied(slots: Slots[str], name: str) -> int:
    slot = slots.free()[0]
    slots.occupy(slot, name)
    return slot


def test_lowest_free_slot_is_taken_first() -> None:
    slots: Slots[str] = Slots(3)
    assert [occupied(slots, name) for name in "abc"] == [1, 2, 3]
    slots.leave(3)
    slots.leave(1)
    assert occupied(slots, "d") == 1
    assert (list(slots), slots.free()) == (["b", "d"], [3])


def test_occupant_is_due_once_and_at_its_time() -> None:
    slots: Slots[str] = Slots(2)
    slots.remind(occupied(slots, "a"), 20)
    slots.remind(occupied(slots, "b"), 10)
    assert (slots.next_reminder(), slots.due(9)) == (10, [])
    assert (slots.due(15), slots.due(15)) == (["b"], [])
    assert slots.due(30) == ["a"]
    assert slots.next_reminder() is None


def test_two_due_reminders_of_an_occupant_are_one() -> None:
    slots: Slots[str] = Slots(1)
    slot = occupied(slots, "a")
    slots.remind(slot, 10)
    slots.remind(slot, 20)
    assert slots.due(20) == ["a"]


def test_a_reminder_does_not_fire_for_the_slots_next_occupant() -> None:
    slots: Slots[str] = Slots(1)
    slot = occupied(slots, "a")
    slots.remind(slot, 10)
    slots.leave(slot)
    assert slots.next_reminder() is None
    occupied(slots, "b")
    assert (slots.next_reminder(), slots.due(10)) == (None, [])

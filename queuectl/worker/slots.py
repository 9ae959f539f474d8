"""The slots of a worker, their occupants, and reminders for the occupants. No clock, no I/O."""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")


class Slots(Generic[T]):
    """A fixed number of slots, numbered from 1. Times are of the monotonic clock."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = set(range(1, count + 1))
        self._occupants: dict[int, T] = {}
        self._reminders: list[tuple[int, int, int]] = []
        """A heap of reminders: time, number of the occupation, slot."""
        self._occupations = 0
        self._occupation_of: dict[int, int] = {}

    def __len__(self) -> int:
        """Return the number of occupied slots."""
        return len(self._occupants)

    def __iter__(self) -> Iterator[T]:
        """Iterate over the occupants, the oldest first. Slots may be freed during the iteration."""
        return iter(list(self._occupants.values()))

    def free(self) -> list[int]:
        """Return the free slots, the lowest first."""
        return sorted(self._free)

    def occupy(self, slot: int, occupant: T) -> None:
        """Put an occupant into a free slot."""
        self._free.remove(slot)
        self._occupations += 1
        self._occupants[slot], self._occupation_of[slot] = occupant, self._occupations

    def leave(self, slot: int) -> None:
        """Free a slot, and drop the reminders of its occupant."""
        del self._occupants[slot], self._occupation_of[slot]
        self._free.add(slot)

    def remind(self, slot: int, at_us: int) -> None:
        """Let `due` return the occupant of `slot` at `at_us`."""
        heappush(self._reminders, (at_us, self._occupation_of[slot], slot))

    def next_reminder(self) -> int | None:
        """Return the time of the next reminder; None if there is none."""
        while self._reminders and self._is_stale(self._reminders[0]):
            heappop(self._reminders)
        return self._reminders[0][0] if self._reminders else None

    def due(self, now_us: int) -> list[T]:
        """Remove the reminders up to `now_us`. Return the reminded occupants, each once."""
        occupants: dict[int, T] = {}
        while (at_us := self.next_reminder()) is not None and at_us <= now_us:
            slot = heappop(self._reminders)[2]
            occupants[slot] = self._occupants[slot]
        return list(occupants.values())

    def _is_stale(self, reminder: tuple[int, int, int]) -> bool:
        """Return whether the reminder is for an occupant that has left its slot."""
        _, occupation, slot = reminder
        return self._occupation_of.get(slot) != occupation

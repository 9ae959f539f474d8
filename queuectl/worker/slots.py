"""Which run sits in which slot, and when the next thing has to happen to one: pure."""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Generic, TypeVar

Run = TypeVar("Run")


class Slots(Generic[Run]):
    """A fixed number of seats, numbered from 1, and the reminders of those who sit in them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = set(range(1, count + 1))
        self._taken: dict[int, Run] = {}
        self._reminders: list[tuple[int, int, int]] = []
        self._sat = 0
        self._seated: dict[int, int] = {}

    def __len__(self) -> int:
        """How many are taken."""
        return len(self._taken)

    def __iter__(self) -> Iterator[Run]:
        """Those who sit, in the order in which they sat down; others may leave meanwhile."""
        return iter(list(self._taken.values()))

    def free(self) -> list[int]:
        """Those that are free, the lowest first."""
        return sorted(self._free)

    def sit(self, slot: int, run: Run) -> None:
        """`run` takes a free slot."""
        self._free.remove(slot)
        self._sat += 1
        self._taken[slot], self._seated[slot] = run, self._sat

    def leave(self, slot: int) -> None:
        """The slot is free again; what it was to be reminded of is forgotten."""
        del self._taken[slot], self._seated[slot]
        self._free.add(slot)

    def remind(self, slot: int, at_us: int) -> None:
        """Return who sits in `slot` from `due` at `at_us`, of the monotonic clock."""
        heappush(self._reminders, (at_us, self._seated[slot], slot))

    def next_reminder(self) -> int | None:
        """When `due` has somebody; None when never."""
        while self._reminders and self._stale(self._reminders[0]):
            heappop(self._reminders)
        return self._reminders[0][0] if self._reminders else None

    def due(self, now_us: int) -> list[Run]:
        """Those who are to be reminded by now, each once."""
        found: dict[int, Run] = {}
        while (at := self.next_reminder()) is not None and at <= now_us:
            slot = heappop(self._reminders)[2]
            found[slot] = self._taken[slot]
        return list(found.values())

    def _stale(self, reminder: tuple[int, int, int]) -> bool:
        """Whether it was for someone who has left since."""
        _, sat, slot = reminder
        return self._seated.get(slot) != sat

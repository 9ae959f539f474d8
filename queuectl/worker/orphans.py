"""Which of a supervisor's orphaned processes belong to which attempt.

A process that has outlived its parent becomes a child of the supervisor. Most carry the mark of
their attempt (process_mark.py), or are still in its session. One that has neither may belong to any
attempt that was running when it was first seen; it is assigned to the one that ends last.
"""

from collections.abc import Collection, Set

from . import process_sweep
from .keeper import soft_limit
from .process_mark import Mark


class Orphans:
    """The attempts that may have processes. kept_limit: the mark of processes that are kept."""

    def __init__(self, kept_limit: int) -> None:
        self._kept_limit = kept_limit
        self._sessions: dict[Mark, int] = {}
        """Session of each attempt: the pid of its first process."""
        self._owners: dict[tuple[int, int], set[Mark]] = {}
        """By pid and start time of a process without a mark: the attempts that may own it."""

    def begin(self, mark: Mark, pid: int) -> None:
        """Note a new attempt. pid: its first process, which leads its session."""
        self._sessions[mark] = pid

    def of(self, mark: Mark, orphans: Set[int]) -> list[int]:
        """Return those of `orphans` that belong to an attempt that has ended.

        If there is none, the attempt is forgotten.
        """
        own = [pid for pid in orphans if soft_limit(pid) != self._kept_limit]
        if others := self._sessions.keys() - {mark}:
            of_others = set(process_sweep.bearers(own, others))
            own = [pid for pid in own if pid not in of_others and self._owns(mark, pid, others)]
        if not own:
            self._forget(mark)
        return sorted(own)

    def _owns(self, mark: Mark, pid: int, others: Collection[Mark]) -> bool:
        """Return whether a process without a mark of `others` belongs to the attempt of `mark`."""
        session = process_sweep.session(pid)
        if session == self._sessions.get(mark):
            return True
        if any(session == self._sessions[other] for other in others):
            return False
        if process_sweep.bearers([pid], {mark}):
            return True
        key = (pid, process_sweep.started(pid))
        owners = self._owners.setdefault(key, {mark, *others})
        owners &= {mark, *others}
        return owners == {mark}

    def _forget(self, mark: Mark) -> None:
        self._sessions.pop(mark, None)
        for key, owners in tuple(self._owners.items()):
            owners.discard(mark)
            if not owners:
                del self._owners[key]

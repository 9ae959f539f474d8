"""`worker stop` says how long a worker of another machine may hold it up, and what to do."""

from types import SimpleNamespace
from typing import Any

import pytest

from queuectl.worker import stop_wait
from queuectl.worker.stop_wait import HoldUp


@pytest.mark.parametrize(
    ("lease_us", "words"),
    [
        (120_000_000, "if that machine is gone, its lease ends within 2m, or at once by queuectl"),
        (None, "if that machine is gone: queuectl worker forget 3f2a1c"),
    ],
)
def test_worker_of_another_machine_is_named_with_its_lease(
    lease_us: int | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_wait, "is_elsewhere", lambda store, worker: True)
    hold_up = HoldUp.__new__(HoldUp)
    started = SimpleNamespace(host="box", lease_us=lease_us)
    worker: Any = SimpleNamespace(id="3f2a1c", started=started)
    queue: Any = SimpleNamespace(store=None)
    hold_up.worker, hold_up._queue = worker, queue
    assert words in hold_up._where()

"""The watchdog of systemd follows the beats that the server has confirmed, and nothing else."""

import socket
import threading
from pathlib import Path

from eventstore.errors import Away
from queuectl.worker.fence import Fence
from queuectl.worker.heart import Heart
from queuectl.worker.lease import BEATS, FENCES, SLACKS, watchdog_us
from queuectl.worker.sd_notify import Notifier
from tests.ctl import until
from tests.sd_notify import Manager

LEASE_US = 120_000


class FlakyServer:
    """A server that confirms each beat until it is cut off."""

    def __init__(self) -> None:
        self.is_cut, self.beats, self.refused = False, 0, threading.Event()

    def begin(self, worker_id: str, nonce: int) -> None:
        pass

    def beat(self, worker_id: str, nonce: int) -> dict[str, int]:
        if self.is_cut:
            self.refused.set()
            raise Away("the server", "silent")
        self.beats += 1
        return {worker_id: nonce}

    def end(self, worker_id: str) -> None:
        pass

    def close(self) -> None:
        pass


def test_the_watchdog_is_reset_only_after_confirmed_beats(tmp_path: Path) -> None:
    server, (line, _keeper) = FlakyServer(), socket.socketpair()
    with Manager(str(tmp_path / "notify")) as systemd:
        notifier = Notifier(systemd.address, 1)
        fence = Fence(0, LEASE_US, print, line, notifier)
        heart = Heart(server, "w", LEASE_US, fence, notifier)
        heart.begin()
        notifier.ready(LEASE_US)
        heart.start()
        until(lambda: server.beats >= 3 or None, "three beats")
        server.is_cut = True
        assert server.refused.wait(10)
        beats = server.beats
        until(lambda: len(systemd.times("WATCHDOG=1")) > beats or None, "their messages")
        server.refused.clear()
        assert server.refused.wait(10)  # another beat without an answer
        heart.end()
        assert systemd.lines.count("WATCHDOG=1") == beats + 1  # and that of READY
        assert systemd.lines[:3] == ["READY=1", "WATCHDOG=1", f"WATCHDOG_USEC={65_000}"]


def test_the_watchdog_is_later_than_the_keeper_and_ends_before_a_takeover() -> None:
    for lease_us in (10_000_000, 120_000_000, 86_400_000_000):
        fence_us = lease_us // FENCES
        assert fence_us + lease_us // SLACKS < watchdog_us(lease_us)
        assert watchdog_us(lease_us) < fence_us + lease_us // BEATS

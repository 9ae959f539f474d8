"""What a worker reports to systemd, by a socket that only collects the messages."""

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

from queuectl.worker.sd_notify import Notifier, Status, notifier_from
from queuectl.worker.stopping import Urgency
from tests.ctl import Ctl
from tests.sd_notify import Manager, abstract

SHOWS_ENVIRONMENT = "env | grep -E '^(NOTIFY|WATCHDOG)_' ; sleep 0.3; touch {}; sleep 100"


def test_a_worker_reports_its_start_its_jobs_and_its_end(ctl: Ctl, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with Manager(str(tmp_path / "notify")) as systemd:
        worker = ctl.start("worker", "start", "--count", "2", env=systemd.env())
        systemd.awaits("READY=1")
        systemd.awaits("STATUS=0 of 2 jobs running, none waiting")
        job = ctl.enqueue(SHOWS_ENVIRONMENT.format(begun))
        systemd.awaits("STATUS=1 of 2 jobs running")
        ctl.wait_for(job, "claimed")
        worker.kill()
        systemd.awaits("STOPPING=1")
        worker.kill()
        assert worker.ends().code == 130
        systemd.awaits("STATUS=stopped")
        assert systemd.lines.count("READY=1") == systemd.lines.count("STOPPING=1") == 1
        assert not [line for line in systemd.lines if line.startswith("WATCHDOG")]
    assert ctl("logs", job, "--attempt", "1").out == ""


def test_the_loop_of_a_worker_on_a_file_is_watched(ctl: Ctl) -> None:
    assert not ctl.db.exists()  # on a server, the heart is watched
    with Manager(abstract("watched")) as systemd:
        env = {**systemd.env(200_000), "WATCHDOG_PID": ""}
        with ctl.running("worker", "start", env=env) as worker:
            systemd.awaits("READY=1")
            assert systemd.awaits("WATCHDOG_USEC") == "WATCHDOG_USEC=200000"
            time.sleep(0.5)
            beats = systemd.times("WATCHDOG=1")
            assert all(later - earlier < 0.2 for earlier, later in pairwise(beats))
            os.kill(worker.pid, signal.SIGTERM)
            assert worker.ends().code == 0
        assert len(beats) >= 4


def test_the_status_is_reported_once_a_second_at_most(tmp_path: Path) -> None:
    with Manager(str(tmp_path / "notify")) as systemd:
        notifier = Notifier(systemd.address, None)
        idle = Status(0, 1, others_wait=False, urgency=Urgency.NONE, is_away=False)
        busy = idle._replace(running=1)
        assert notifier.report(idle, 0) is None
        assert notifier.report(busy, 999_999) == 1_000_000
        assert notifier.report(idle, 999_999) is None
        assert notifier.report(busy, 1_000_000) is None
        away = idle._replace(is_away=True, others_wait=True)
        notifier.report(away, 2_000_000)
        systemd.awaits("STATUS=0 of 1 jobs running, more may be waiting; no answer")
        assert len(systemd.lines) == 3


def test_variables_for_another_process_are_removed_and_not_obeyed() -> None:
    environment = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1", "A": "b"}
    with Manager(abstract("other")) as systemd:
        environment["NOTIFY_SOCKET"] = systemd.address
        notifier = notifier_from(environment)
        assert environment == {"A": "b"}
        assert notifier is not None
        notifier.ready(None)
        notifier.pause()
        notifier.stopping()
        systemd.awaits("STOPPING=1")
        assert systemd.lines == ["READY=1", "STOPPING=1"]


def test_without_a_socket_nothing_is_reported() -> None:
    for address in ("", "relative", "vsock:2:1234"):
        assert notifier_from({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1"}) is None


def test_a_socket_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "gone"), 1000)
    notifier.ready(None)
    notifier.confirmed()
    notifier.pause()
    notifier.ended()

"""The side folder is removed while a worker runs, as by a program that cleans up /tmp."""

import fcntl
import os
import shutil
import socket
from pathlib import Path

import pytest

from queuectl.worker.presence import Presence
from tests.ctl import UNPOLLED_S, Ctl, until
from tests.live_queue import LiveQueue, freeze


def side_folder(live: LiveQueue) -> Path:
    return live.path.parent / "queue.db.d"


def bells(live: LiveQueue) -> list[str]:
    folder = side_folder(live) / "bells"
    return os.listdir(folder) if folder.exists() else []


@pytest.mark.parametrize("what", ["", "bells"])
def test_worker_is_notified_of_jobs_after_its_doorbell_was_removed(
    live: LiveQueue, what: str
) -> None:
    with live.worker() as running:
        assert live.wait(live.enqueue("true")) == ["completed"]
        for _ in range(3):
            shutil.rmtree(side_folder(live) / what, ignore_errors=True)
            until(lambda: bells(live) or None, "a new bell", deadline_s=UNPOLLED_S)
            job = live.enqueue("true")
            live.wait_for(job, "succeeded")
            (claimed,) = [event for event in live.events(job) if event.type == "claimed"]
            assert claimed.event.waited_us < UNPOLLED_S * 1e6  # type: ignore[union-attr]
        running.kill()
        assert running.ends(UNPOLLED_S).code == 0


def test_stop_now_ends_a_worker_whose_files_were_removed(ctl: Ctl, live: LiveQueue) -> None:
    job = live.enqueue("touch up; sleep 60", grace="100ms")
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        shutil.rmtree(side_folder(live), ignore_errors=True)
        assert "did not answer" not in ctl("worker", "stop", "--now", deadline_s=UNPOLLED_S).err
        assert running.ends(UNPOLLED_S).code == 0
    assert live.queue.get(job).state == "pending"


def test_long_output_is_kept_after_its_folder_was_removed(ctl: Ctl, live: LiveQueue) -> None:
    running_job = live.enqueue(
        "head -c 200000 /dev/zero | tr '\\0' a; touch up; until test -e go; do sleep 0.01; done;"
        " head -c 200000 /dev/zero | tr '\\0' b"
    )
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the first half")
        outputs = side_folder(live) / "outputs"
        until(lambda: list(outputs.glob("*/*")) or None, "its file")
        shutil.rmtree(side_folder(live), ignore_errors=True)
        (live.work / "go").touch()
        later = live.enqueue("head -c 200000 /dev/zero | tr '\\0' c")
        assert live.wait(running_job, later) == ["completed"] * 2
        running.kill()
        assert running.ends().code == 0
    assert ctl("logs", later).out == "c" * 200_000
    kept = ctl("logs", running_job).out
    assert kept.count("b") == 200_000
    succeeded = live.wait_for(running_job, "succeeded")
    assert succeeded.output_bytes == 400_000
    assert succeeded.kept_bytes == kept.count("a") + kept.count("b")


def test_removed_locks_are_created_again(live: LiveQueue) -> None:
    mine, keepers = socket.socketpair()
    presence = Presence(live.queue, "3f2a11", mine)
    _, held, _, _ = socket.recv_fds(keepers, 64, 8)
    shutil.rmtree(side_folder(live))
    presence.check()
    _, held_anew, _, _ = socket.recv_fds(keepers, 64, 8)
    for name in ("worker-3f2a11", "worker-3f2a11.keeper"):
        with (side_folder(live) / "locks" / name).open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    presence.check()  # all files exist, so no descriptor is sent
    keepers.setblocking(False)
    with pytest.raises(BlockingIOError):
        keepers.recv(1)
    presence.close()
    presence.leave()
    assert list((side_folder(live) / "locks").iterdir()) == []
    for descriptor in (*held, *held_anew):
        os.close(descriptor)


def test_doctor_reports_a_missing_doorbell(ctl: Ctl, live: LiveQueue) -> None:
    with live.worker() as running:
        assert live.wait(live.enqueue("true")) == ["completed"]
        assert "1 worker is notified of new jobs at once" in ctl("doctor", code=None).out
        freeze(running.pid, live.supervisor(running))
        shutil.rmtree(side_folder(live))
        output = ctl("doctor", code=1).out
        assert f"to notify a worker of new jobs at once: {live.workers()[0].id}" in output

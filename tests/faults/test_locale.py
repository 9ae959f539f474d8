"""A worker with an ASCII locale runs every job, and its jobs inherit no descriptors."""

import os
import subprocess
from pathlib import Path

from tests.ctl import PROGRAM
from tests.live_queue import LiveQueue

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def drain(live: LiveQueue, **more: object) -> None:
    start = (*PROGRAM, "--db", str(live.path), "worker", "start", "--until-empty")
    subprocess.run(start, env={**os.environ, **ASCII}, check=True, capture_output=True, **more)  # type: ignore[call-overload]


def test_job_that_the_locale_cannot_encode_runs(live: LiveQueue) -> None:
    folder = live.work / "über"
    folder.mkdir()
    job = live.queue.enqueue("echo ü→ > $NAME", cwd=str(folder), env={"NAME": "grüße"}).id
    words = live.queue.enqueue(["touch", "ärger"], cwd=str(folder)).id
    drain(live)
    assert live.wait(job, words) == ["completed", "completed"]
    assert (folder / "grüße").read_text(encoding="utf-8") == "ü→\n"
    assert (folder / "ärger").exists()


def test_job_inherits_no_descriptor_of_the_shell_that_started_the_worker(
    live: LiveQueue, tmp_path: Path
) -> None:
    secret = os.open(tmp_path / "secret", os.O_RDWR | os.O_CREAT)
    high = os.dup2(secret, 77)
    job = live.enqueue("test ! -e /dev/fd/77")
    drain(live, pass_fds=(high,))
    assert live.wait(job) == ["completed"]
    for descriptor in (secret, high):
        os.close(descriptor)


def test_next_worker_removes_the_lock_files_that_nobody_holds(live: LiveQueue) -> None:
    for name in ("worker-ffffff", "worker-ffffff.keeper", "replay"):
        stray = live.queue.store.lock(name)
        assert stray.acquire()
        stray.release()
    held = live.queue.store.lock("worker-eeeeee")
    assert held.acquire()
    live.drain()
    folder = Path(live.queue.store.side_folder.path) / "locks"
    assert [path.name for path in folder.iterdir()] == ["worker-eeeeee"]
    held.remove()

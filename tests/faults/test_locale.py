"""A worker with an ASCII locale runs every job, and its jobs inherit no descriptors."""

import os
import subprocess
from pathlib import Path

from tests.ctl import PROGRAM
from tests.house import House

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def drain(house: House, **more: object) -> None:
    start = (*PROGRAM, "--db", str(house.path), "worker", "start", "--until-empty")
    subprocess.run(start, env={**os.environ, **ASCII}, check=True, capture_output=True, **more)  # type: ignore[call-overload]


def test_job_that_the_locale_cannot_encode_runs(house: House) -> None:
    folder = house.work / "über"
    folder.mkdir()
    job = house.queue.enqueue("echo ü→ > $NAME", cwd=str(folder), env={"NAME": "grüße"}).id
    words = house.queue.enqueue(["touch", "ärger"], cwd=str(folder)).id
    drain(house)
    assert house.wait(job, words) == ["completed", "completed"]
    assert (folder / "grüße").read_text(encoding="utf-8") == "ü→\n"
    assert (folder / "ärger").exists()


def test_job_inherits_no_descriptor_of_the_shell_that_started_the_worker(
    house: House, tmp_path: Path
) -> None:
    secret = os.open(tmp_path / "secret", os.O_RDWR | os.O_CREAT)
    high = os.dup2(secret, 77)
    job = house.enqueue("test ! -e /dev/fd/77")
    drain(house, pass_fds=(high,))
    assert house.wait(job) == ["completed"]
    for descriptor in (secret, high):
        os.close(descriptor)


def test_next_worker_removes_the_lock_files_that_nobody_holds(house: House) -> None:
    for name in ("worker-ffffff", "worker-ffffff.keeper", "replay"):
        stray = house.queue.store.lock(name)
        assert stray.acquire()
        stray.release()
    held = house.queue.store.lock("worker-eeeeee")
    assert held.acquire()
    house.drain()
    folder = Path(house.queue.store.side_folder.path) / "locks"
    assert [path.name for path in folder.iterdir()] == ["worker-eeeeee"]
    held.remove()

"""A worker on a full disk, out of descriptors, or with its queue file gone."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.ctl import DEADLINE_S, until
from tests.live_queue import LiveQueue
from tests.machine import needs_mounts, with_mounts
from tests.shapes import complete, in_folder

ON_FULL_DISK = """
import sys
from pathlib import Path
from tests.ctl import until
from tests.live_queue import LiveQueue

disk, work = map(Path, sys.argv[1:])
live = LiveQueue(disk, work)
job = live.enqueue("touch up; until [ -e go ]; do sleep 0.01; done; echo ran >> ran")
with live.worker(slots=1) as running:
    until(lambda: (work / "up").exists() or None, "the job")
    with open(disk / "filler", "wb", buffering=0) as filler:
        try:
            while filler.write(bytes(4096)):
                pass
        except OSError as error:
            print(error.strerror)
    (work / "go").touch()
    running.says("held until there is room")
    (disk / "filler").unlink()
    later = live.enqueue("true")
    assert live.wait(job, later) == ["completed", "completed"]
print(live.event_types(job), (work / "ran").read_text(), end="")
"""


@needs_mounts
def test_result_is_kept_in_memory_while_the_disk_is_full(tmp_path: Path) -> None:
    disk, work = tmp_path / "disk", tmp_path / "work"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=1m,mode=0700 tmpfs {disk}"
    done = subprocess.run(
        with_mounts(
            *("sh", "-ec", f'{mount}; exec "$0" -c "$@"'),
            *(sys.executable, ON_FULL_DISK, str(disk), str(work)),
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        cwd=Path(__file__).parents[2],
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "No space left on device",
        "['enqueued', 'claimed', 'succeeded'] ran",
    ]


def test_worker_whose_queue_file_is_deleted_ends_its_jobs_and_reports_it(live: LiveQueue) -> None:
    live.enqueue("touch up; until [ -e go ]; do sleep 0.01; done")
    live.enqueue("(setsid setsid sleep 60 <&- >&- 2>&- &); sleep 60")
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        until(lambda: complete("daemon", live.work), "the daemon")
        live.path.unlink()
        (live.work / "go").touch()
        running.says("was deleted or replaced while in use")
        assert running.ends().code == 6
    assert not live.path.exists()
    assert in_folder(live.work) == []


def test_job_may_delete_all_files_of_the_queue(live: LiveQueue) -> None:
    live.enqueue(f"rm -rf {live.path.parent}/queue.db*")
    with live.worker() as running:
        assert running.ends().code == 6
    assert not any("Traceback" in line for line in running.err)


def test_queue_file_that_was_replaced_is_not_written(live: LiveQueue) -> None:
    live.enqueue("touch up; until [ -e go ]; do sleep 0.01; done")
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        shutil.copy(live.path, live.path.with_suffix(".new"))
        live.path.with_suffix(".new").rename(live.path)
        before = live.path.read_bytes()
        (live.work / "go").touch()
        assert running.ends().code == 6
    assert live.path.read_bytes() == before


def test_worker_survives_the_removal_of_the_side_folder(live: LiveQueue) -> None:
    # rm may fail because the worker has created a file in the folder again.
    job = live.enqueue(f"rm -rf {live.path}.d 2>rm.log; sleep 1.2; echo late")
    with live.worker() as running:
        assert live.wait_for(job, "succeeded").output_bytes == 5, running.err


def test_worker_with_many_slots_raises_its_limit_of_descriptors(live: LiveQueue) -> None:
    jobs = [live.enqueue("echo; sleep 1.3; echo") for _ in range(60)]
    live.drain(slots=60, descriptors=64)
    assert {live.queue.get(job).state for job in jobs} == {"completed"}

"""A worker on a full disk, out of descriptors, or with its queue file gone."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.ctl import DEADLINE_S, until
from tests.house import House
from tests.machine import needs_mounts, with_mounts
from tests.shapes import complete, in_folder

ON_FULL_DISK = """
import sys
from pathlib import Path
from tests.ctl import until
from tests.house import House

disk, work = map(Path, sys.argv[1:])
house = House(disk, work)
job = house.enqueue("touch up; until [ -e go ]; do sleep 0.01; done; echo ran >> ran")
with house.worker(slots=1) as running:
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
    later = house.enqueue("true")
    assert house.wait(job, later) == ["completed", "completed"]
print(house.event_types(job), (work / "ran").read_text(), end="")
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


def test_worker_whose_queue_file_is_deleted_ends_its_jobs_and_reports_it(house: House) -> None:
    house.enqueue("touch up; until [ -e go ]; do sleep 0.01; done")
    house.enqueue("(setsid setsid sleep 60 <&- >&- 2>&- &); sleep 60")
    with house.worker() as running:
        until(lambda: (house.work / "up").exists() or None, "the job")
        until(lambda: complete("daemon", house.work), "the daemon")
        house.path.unlink()
        (house.work / "go").touch()
        running.says("was deleted or replaced while in use")
        assert running.ends().code == 6
    assert not house.path.exists()
    assert in_folder(house.work) == []


def test_job_may_delete_all_files_of_the_queue(house: House) -> None:
    house.enqueue(f"rm -rf {house.path.parent}/queue.db*")
    with house.worker() as running:
        assert running.ends().code == 6
    assert not any("Traceback" in line for line in running.err)


def test_queue_file_that_was_replaced_is_not_written(house: House) -> None:
    house.enqueue("touch up; until [ -e go ]; do sleep 0.01; done")
    with house.worker() as running:
        until(lambda: (house.work / "up").exists() or None, "the job")
        shutil.copy(house.path, house.path.with_suffix(".new"))
        house.path.with_suffix(".new").rename(house.path)
        before = house.path.read_bytes()
        (house.work / "go").touch()
        assert running.ends().code == 6
    assert house.path.read_bytes() == before


def test_worker_survives_the_removal_of_the_side_folder(house: House) -> None:
    # rm may fail because the worker has created a file in the folder again.
    job = house.enqueue(f"rm -rf {house.path}.d 2>rm.log; sleep 1.2; echo late")
    with house.worker() as running:
        assert house.wait_for(job, "succeeded").output_bytes == 5, running.err


def test_worker_with_many_slots_raises_its_limit_of_descriptors(house: House) -> None:
    jobs = [house.enqueue("echo; sleep 1.3; echo") for _ in range(60)]
    house.drain(slots=60, descriptors=64)
    assert {house.queue.get(job).state for job in jobs} == {"completed"}

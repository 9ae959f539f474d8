"""`doctor` as typed: it finds each real problem and says what to do about it."""

import errno
import os
import resource
import subprocess
import time
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from eventstore.shared_file_systems import SHARED
from queuectl.api import Queue
from queuectl.doctor import checks
from queuectl.doctor.checks import Entry, Finding
from queuectl.doctor.machine import OLD_S
from queuectl.worker.process_sweep import RLIMIT_RTTIME
from tests.behaviour.test_terminal import screen
from tests.ctl import DEADLINE_S, PROGRAM, Ctl, until
from tests.live_queue import LiveQueue, kill_both
from tests.machine import OTHER_USER, needs_another_user, needs_mounts, with_mounts
from tests.shapes import complete
from tests.stranger import stranger, tamper


@pytest.fixture
def worked(ctl: Ctl) -> Ctl:
    """A queue with a completed and a dead job."""
    ctl.enqueue("true")
    ctl.dead_job()
    return ctl


def problems(ctl: Ctl, *words: str) -> dict[str, str]:
    """Return the problems by check. Fails if the exit code contradicts them."""
    result = ctl("doctor", *words, "--json", code=None)
    wrong = {check["check"]: check["found"] for check in result.json["checks"] if not check["well"]}
    assert result.code == (1 if wrong else 0)
    assert result.json["well"] == (not wrong)
    assert all(check["todo"] for check in result.json["checks"] if not check["well"])
    return wrong


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file in a folder, except the -shm file, which readers change."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".db-shm"]
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in files}


def test_doctor_reports_no_problem_in_a_sound_queue_and_changes_nothing(worked: Ctl) -> None:
    worked("list")  # reading leaves an empty -wal
    before = digests(worked.folder)
    assert problems(worked) == {}
    assert problems(worked, "--deep") == {}
    assert digests(worked.folder) == before


def test_doctor_says_which_file_and_why(worked: Ctl) -> None:
    message = worked("doctor").out
    assert f"file\t{worked.db} (named by QUEUECTL_DB)" in message
    assert worked("doctor", "--json").json["why"] == "QUEUECTL_DB"
    assert "named by --db" in worked("--db", str(worked.db), "doctor").out
    here = worked("doctor", env={"QUEUECTL_DB": ""}).out
    assert "found in the working directory" in here


def test_doctor_reports_versions_and_durability(worked: Ctl) -> None:
    result = worked("doctor", "--json").json
    status = worked("status", "--json").json
    assert (result["position"], result["head_hash"]) == (status["position"], status["head_hash"])
    assert set(result["versions"]) == {"queuectl", "python", "sqlite", "apsw"}
    assert result["fsync_s"] > 0
    assert result["free_bytes"] > 0


def test_without_a_queue_there_is_nothing_wrong(ctl: Ctl) -> None:
    assert problems(ctl) == {}
    assert f"{ctl.db} (named by QUEUECTL_DB) does not exist" in ctl("doctor").out
    assert os.listdir(ctl.folder) == []


def test_a_missing_named_file_exits_with_6(ctl: Ctl) -> None:
    assert "no queue at" in ctl("--db", str(ctl.folder / "x.db"), "doctor", code=6).err


def test_a_file_in_which_no_job_can_be_created_is_a_problem(ctl: Ctl) -> None:
    nowhere = ctl.folder / "nowhere" / "queue.db"
    message = ctl("doctor", env={"QUEUECTL_DB": str(nowhere)}, code=1).out
    assert f"there is no folder {nowhere.parent}" in message


def test_advice_is_printed_as_it_must_be_typed(worked: Ctl) -> None:
    stranger(str(worked.db), "UPDATE checkpoint SET position = 1")
    lines = worked("--db", str(worked.db), "doctor", code=1).lines
    assert [line for line in lines if line.startswith("problem")] == [
        f"problem\tviews\tat 1, the log at 10\tqueuectl --db {worked.db} replay"
    ]


@pytest.mark.parametrize(
    ("definition", "words"),
    [("jobs=1", "of an older version"), ("jobs=99", "of a newer version")],
)
def test_views_of_another_version_are_reported(worked: Ctl, definition: str, words: str) -> None:
    stranger(str(worked.db), f"UPDATE checkpoint SET definition = '{definition}'")
    assert problems(worked) == {"views": words}


def test_a_missing_view_is_reported(worked: Ctl) -> None:
    stranger(str(worked.db), "DROP TABLE checkpoint")
    assert "is incomplete" in problems(worked)["views"]


@pytest.mark.parametrize(
    "harm", ["DROP TABLE tags", "ALTER TABLE jobs DROP COLUMN skipped", "DROP TABLE jobs"]
)
def test_a_view_with_a_changed_schema_is_reported_and_recreated(worked: Ctl, harm: str) -> None:
    stranger(str(worked.db), harm)
    table = harm.split()[2]
    assert problems(worked) == {"views": f"{table} missing, or without a column"}
    assert f"{table}: " in worked("replay", "--check", code=5).out
    refused = worked("enqueue", "--tag", "a=b", "--", "true", code=6).err
    assert "is incomplete" in refused
    assert refused.count("\n") == 1
    worked("replay")
    assert worked("doctor").code == 0
    assert worked("replay", "--check").code == 0
    worked.enqueue("true")


def test_files_that_others_may_read_or_write_are_reported(worked: Ctl) -> None:
    worked.db.chmod(0o644)
    assert "others can read them" in problems(worked)["modes"]
    worked.db.chmod(0o660)
    result = problems(worked)
    assert "may be written by others" in result["file"]
    worked.db.chmod(0o600)
    Path(f"{worked.db}.d").chmod(0o755)
    assert "queue.db.d/ 0755" in problems(worked)["modes"]


def test_a_folder_that_others_may_write_is_reported(worked: Ctl) -> None:
    worked.folder.chmod(0o1777)
    assert "others may put files into it" in problems(worked)["folder"]


@needs_another_user
def test_a_file_of_another_user_is_reported(worked: Ctl) -> None:
    os.chown(worked.db, OTHER_USER, OTHER_USER)
    result = problems(worked)
    assert "belongs to user 65534" in result["file"]
    assert "belongs to user 65534, not to you" in result["modes"]


def test_a_file_that_is_no_queue_is_reported(ctl: Ctl) -> None:
    ctl.db.write_text("a shopping list" * 100)
    ctl.db.chmod(0o600)
    assert "is not a queue" in problems(ctl)["file"]


def test_a_wal_that_cannot_shrink_is_reported(worked: Ctl) -> None:
    with Queue(worked.db) as queue:
        queue.enqueue("true")
        os.truncate(f"{worked.db}-wal", checks.WAL_BYTES + 1)
        assert "MB" in problems(worked)["wal"]


def test_a_dead_worker_and_its_leftover_processes_are_reported(ctl: Ctl) -> None:
    live = LiveQueue(ctl.folder)
    job = live.enqueue("(setsid setsid sleep 60 <&- >&- 2>&- &); sleep 60")
    with live.worker() as running:
        pids = until(lambda: complete("daemon", live.work), "the daemon")
        living = ctl("doctor").out
        assert f"workers\t{live.workers()[0].id} alive" in living
        kill_both(running.pid, live.supervisor(running))
        running.ends()
    result = problems(ctl)
    assert "died with 1 job claimed" in result["workers"]
    assert set(map(str, pids)) <= set(result["processes"].split())
    assert "worker start" in ctl("doctor", code=1).out
    live.queue.cancel(job)
    live.drain()
    assert problems(ctl) == {}
    live.queue.close()


def test_a_process_of_an_ended_attempt_is_reported(worked: Ctl) -> None:
    status = worked.db.stat()
    mark = f"{status.st_dev}:{status.st_ino}:0123456789abcdef:1:1"
    left = subprocess.Popen(["sleep", "60"], env={"QUEUECTL_CLAIM": mark})
    try:
        wrong = worked("doctor", "--json", code=1).json["checks"]
        (stray,) = [check for check in wrong if check["check"] == "processes"]
        assert f"kill -9 {left.pid}" in stray["todo"]
    finally:
        left.kill()
        left.wait()
    assert problems(worked) == {}


def test_files_left_by_a_killed_command_are_reported(worked: Ctl) -> None:
    lock = Path(f"{worked.db}.d/locks/worker-cafe")
    cut = worked.folder / "queue.db.0123456789ab.new"
    for path in (lock, cut):
        path.touch()
    assert left_locks(worked) == "left over: worker-cafe"
    assert problems(worked) == {}  # it is only a note
    long_ago = time.time() - OLD_S - 5
    os.utime(cut, (long_ago, long_ago))
    assert problems(worked) == {"leftovers": str(cut)}
    worked.drain()
    assert "left over" not in left_locks(worked)


def left_locks(ctl: Ctl) -> str:
    checks = ctl("doctor", "--json", code=None).json["checks"]
    return next(str(check["found"]) for check in checks if check["check"] == "locks")


def test_a_deep_check_finds_damage(worked: Ctl) -> None:
    tamper(str(worked.db), "UPDATE events SET actor = 'eve' WHERE position = 3")
    stranger(str(worked.db), "UPDATE jobs SET state = 'completed' WHERE id = '2'")
    assert problems(worked) == {}
    result = problems(worked, "--deep")
    assert result["log"] == "position 3: its content does not match its hash"
    stranger(str(worked.db), "DROP TRIGGER events_never_go")
    tampered = problems(worked, "--deep")
    assert set(tampered) >= {"log"}


def test_a_deep_check_finds_a_row_that_differs_from_the_log(worked: Ctl) -> None:
    stranger(str(worked.db), "UPDATE jobs SET state = 'completed' WHERE id = '2'")
    assert problems(worked, "--deep") == {"rows": "1 row not equal to the log"}


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (resource.RLIMIT_NOFILE, "problem\tdescriptors\topen file limit: 100 (hard limit 100)"),
        (RLIMIT_RTTIME, "problem\tmarks\ta job's processes are found by a variable alone"),
    ],
)
def test_limits_that_are_too_low_are_reported(worked: Ctl, limit: int, message: str) -> None:
    done = subprocess.run(
        [*PROGRAM, "doctor"],
        env=worked.env,
        cwd=worked.folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=partial(resource.setrlimit, limit, (100, 100)),
    )
    assert done.returncode == 1
    assert message in done.stdout


def mounted(ctl: Ctl, options: str, script: str) -> str:
    """Return what a shell script prints that runs with a separate file system at `disk`."""
    (ctl.folder / "disk").mkdir()
    shell = f'mount -t tmpfs -o {options},mode=0700 tmpfs disk; q() {{ "$@"; }}; {script}'
    done = subprocess.run(
        with_mounts("sh", "-c", shell.replace("queuectl", f"{' '.join(PROGRAM)} --db disk/q.db")),
        env=ctl.env,
        cwd=ctl.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert "Traceback" not in done.stderr
    return done.stdout


@needs_mounts
def test_a_disk_that_is_nearly_full_is_reported(ctl: Ctl) -> None:
    message = mounted(ctl, "size=2m", "queuectl enqueue -- true; queuectl doctor; echo $?")
    assert "problem\tdisk\t" in message
    assert message.endswith("\n1\n")
    many = mounted_again(ctl)
    assert " inodes free\tfree some space" in many


def mounted_again(ctl: Ctl) -> str:
    """Run doctor on a file system that has free bytes, but no free inodes."""
    (ctl.folder / "disk").rmdir()
    return mounted(ctl, "size=200m,nr_inodes=50", "queuectl enqueue -- true; queuectl doctor")


FILL = "queuectl enqueue -- true; dd if=/dev/zero of=disk/filler bs=4k"
USE_INODES = "queuectl enqueue -- true; touch disk/1 disk/2 disk/3 disk/4 disk/5 disk/6"


@needs_mounts
@pytest.mark.parametrize(("options", "fill"), [("size=2m", FILL), ("nr_inodes=8", USE_INODES)])
def test_a_full_disk_is_not_reported_as_missing_permission(
    ctl: Ctl, options: str, fill: str
) -> None:
    message = mounted(ctl, options, f"({fill}) 2> errors; queuectl doctor")
    disk = ctl.folder / "disk"
    file = f"problem\tfile\t{disk}/q.db (named by --db) no space left for {disk}/q.db\t"
    assert file + "nothing was written, free some space and try again" in message
    words = f"problem\tfsync\tno space left in {disk}: no job can be enqueued\tfree some space"
    assert words in message
    assert "chmod" not in message


@needs_mounts
def test_a_queue_is_not_created_on_a_disk_without_inodes(ctl: Ctl) -> None:
    script = "touch disk/1 disk/2 disk/3 disk/4 2> errors; queuectl enqueue -- true 2>&1"
    message = mounted(ctl, "nr_inodes=4", script)
    words = "nothing was written, free some space and try again"
    assert message == f"error: no space left for {ctl.folder}/disk/q.db; {words}\n"


@needs_mounts
def test_a_folder_that_may_not_be_written_is_reported(ctl: Ctl) -> None:
    script = "queuectl enqueue -- true; mount -o remount,bind,ro disk; queuectl doctor"
    message = mounted(ctl, "size=99m", script)
    assert "disk is on a file system that is mounted read-only\tcheck the disk" in message


@pytest.mark.parametrize(
    ("number", "result", "todo"),
    [
        (errno.EDQUOT, "no space left in /q", "free some space there"),
        (errno.EFBIG, "limit for the size of a file", "ulimit -f unlimited"),
        (errno.EIO, "/q cannot be written (Input/output error)", "check the disk (dmesg)"),
    ],
)
def test_a_failed_write_is_reported_with_its_reason(number: int, result: str, todo: str) -> None:
    error = OSError(number, os.strerror(number))
    finding = checks.unwritable(Entry("/q", 0o40700, 1), 1, None, error)
    assert result in finding.result
    assert todo in str(finding.todo)


def test_doctor_thresholds() -> None:
    def well(finding: Finding) -> bool:
        return finding.todo is None

    assert well(checks.fsync(2.0))
    assert not well(checks.fsync(250.0))
    assert well(checks.network(None, overridden=False))
    assert well(checks.network(None, overridden=True))
    assert not any(well(checks.network(kind, overridden=False)) for kind in SHARED)
    assert well(checks.packages("1", ["/a", "/a", "/a"]))
    assert "/b" in checks.packages("1", ["/a", "/b", "/a"]).result
    assert well(checks.place(Entry("/q", 0o40755, 7), 7))
    assert well(checks.place(Entry("/q", 0o40755, 0), 7))
    assert not well(checks.place(Entry("/q", 0o40700, 8), 7))
    assert well(checks.modes([Entry("/q.db", 0o100600, 7)], 7))
    assert not well(checks.modes([Entry("/q.db", 0o100600, 8)], 7))
    assert well(checks.descriptors(1024, None))
    assert well(checks.room(10**12, None))


def levels(ctl: Ctl, *words: str) -> dict[str, str]:
    """Return the notes and problems by check."""
    checks_ = ctl("doctor", *words, "--json", code=None).json["checks"]
    return {check["check"]: check["level"] for check in checks_ if check["level"] != "ok"}


def test_dead_jobs_are_a_note_and_no_problem(worked: Ctl) -> None:
    assert levels(worked) == {"dead": "note"}
    assert "note\tdead\t1 dead job\tqueuectl dlq list shows them" in worked("doctor").out
    worked("dlq", "discard", "--all")
    assert levels(worked) == {}


def test_jobs_that_no_worker_serves_are_a_note(ctl: Ctl) -> None:
    ctl.enqueue("true", queue="mail")
    ctl.enqueue("true")
    assert "note\twaiting\t2 jobs pending, and no worker is running\tqueuectl worker start" in (
        ctl("doctor").out
    )
    with ctl.worker("--queue", "default") as worker:
        worker.says("worker")
        ctl("wait", "2")
        message = ctl("doctor").out
        assert "1 job pending in mail, and no running worker serves that" in message
        assert "queuectl worker start --queue mail" in message


def test_overdue_jobs_are_a_note_without_a_worker_and_a_problem_with_one(ctl: Ctl) -> None:
    ctl.enqueue("true", delay="1h")
    assert levels(ctl) == {}
    stranger(str(ctl.db), "UPDATE jobs SET due_at = due_at - 7200000000")
    assert levels(ctl) == {"overdue": "note"}
    assert checks.overdue(1, at_least=False, workers=0).level == "note"
    assert checks.overdue(1, at_least=False, workers=1).level == "problem"
    assert "at least 1,000 jobs" in checks.overdue(1000, at_least=True, workers=0).result


def test_a_person_reads_one_line_if_everything_is_in_order(ctl: Ctl) -> None:
    ctl("config", "set", "jitter", "0")
    shown = screen(ctl, "doctor", columns=400)
    assert shown.lines[0].startswith(f"{ctl.db} (named by QUEUECTL_DB): everything is in order; ")
    assert [text for text in shown.lines[1:] if text.strip()] == []
    assert len(screen(ctl, "doctor", "--verbose", columns=400).lines) > 10
    ctl.dead_job()
    shown = screen(ctl, "doctor", columns=400)
    assert shown.lines[0].startswith("! dead  1 dead job")
    assert "): 1 note; " in shown.lines[2]


def test_a_damaged_file_is_named_once_with_a_colon_and_no_space_before_it(worked: Ctl) -> None:
    with open(worked.db, "r+b") as file:
        file.truncate(4096)
    message = worked("doctor", code=None).out
    assert f"problem\tfile\t{worked.db} (named by QUEUECTL_DB): the file is damaged" in message


def test_no_worker_needs_no_notification() -> None:
    assert checks.bells(0, []).result == "no running worker to notify of new jobs"
    assert checks.bells(1, []).result == "1 worker is notified of new jobs at once"
    assert checks.bells(2, []).result == "2 workers are notified of new jobs at once"
    assert checks.bells(2, ["5f"]).level == "problem"

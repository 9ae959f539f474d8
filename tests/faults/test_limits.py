"""The limits of the machine: a full disk, no inodes, a read-only mount, and those of the shell."""

import os
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.ctl import DEADLINE_S, PROGRAM, Ctl, Result, Running, until
from tests.machine import ROOT, needs_another_user, needs_mounts, with_mounts
from tests.sampling import first_of

MIB = 2**20
KEEPER_AND_SUPERVISOR, THREADS, ENOUGH = 2, 2, 100
OWNER = 2_000_000_000 + os.getpid()
"""A user id that is not in use, also not in other tests: root has no limit of processes."""


BEGIN = """
import sys
from pathlib import Path
from tests.ctl import Ctl
disk = Path(sys.argv[1])
ctl = Ctl(disk)
"""


def on_tmpfs(folder: Path, options: str, script: str) -> list[str]:
    """Run a script with `ctl` in a small private file system; return the lines that it prints."""
    disk = folder / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o mode=0700,{options} tmpfs {disk}"
    python = [sys.executable, f"{BEGIN}{script}", str(disk)]
    done = subprocess.run(
        with_mounts("sh", "-ec", f'{mount}; exec "$0" -c "$@"', *python),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        cwd=Path(__file__).parents[2],
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


FULL = """
ctl.enqueue("true")
filler = open(disk / "filler", "wb", buffering=0)
try:
    while filler.write(bytes(4096)): pass
except OSError as error: print(error.strerror)
filler.close()
refused = ctl("enqueue", "--", "true", code=6)
print(refused.out + refused.err, end="")
printed = ctl("list", code=6)
print(printed.out + printed.err, end="")
(disk / "filler").unlink()
print(ctl.enqueue("true"), ctl("verify").code, ctl("replay", "--check").code)
"""


@needs_mounts
def test_full_disk_is_reported_as_a_full_disk(tmp_path: Path) -> None:
    """Readers need room too, for the index of the WAL, if no other process has the file open."""
    full, *refused, later = on_tmpfs(tmp_path, "size=256k", FULL)
    assert full == "No space left on device"
    for line in refused:
        assert line.startswith("error: no space left for ")
        assert line.endswith("nothing was written, free some space and try again")
    assert later == "2 0 0"


TOO_SMALL = """
for _ in range(2):
    refused = ctl("enqueue", "--", "true", code=6)
    print(refused.out + refused.err, end="")
    print(sorted(path.name for path in disk.iterdir()))
"""


@needs_mounts
@pytest.mark.parametrize(
    "options", first_of(["size=4k", "nr_inodes=1", "size=64k", "nr_inodes=2"], 2)
)
def test_queue_is_not_created_if_it_does_not_fit(tmp_path: Path, options: str) -> None:
    printed = on_tmpfs(tmp_path, options, TOO_SMALL)
    assert all(line.startswith("error: ") for line in printed[::2]), printed
    assert printed[1::2] == ["[]", "[]"]


NO_INODES = """
from tests.live_queue import LiveQueue
from tests.sampling import first_of
live = LiveQueue(disk, Path(sys.argv[1]).parent)
jobs = [live.enqueue("echo short"), live.enqueue("head -c 200000 /dev/zero; echo long")]
with live.worker("--until-empty") as running:
    print(running.ends().code, running.err[-1])
print(live.wait(*jobs))
logs = ctl("logs", jobs[1])
print(len(logs.out), *logs.err.splitlines())
"""


@needs_mounts
# An extended attribute counts as an inode on a tmpfs.
@pytest.mark.parametrize(("inodes", "shown"), [(12, "0 [200 kB not kept]"), (40, "200005")])
def test_without_inodes_long_output_is_lost_but_no_job(
    tmp_path: Path, inodes: int, shown: str
) -> None:
    printed = on_tmpfs(tmp_path, f"nr_inodes={inodes},size=4m", NO_INODES)
    assert printed == ["0 Queue is empty: 2 completed.", "['completed', 'completed']", shown]


READ_ONLY = """
import subprocess
ctl.dead_job()
subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
for words in (["status"], ["list"], ["show", "1"], ["logs", "1"], ["history", "1"], ["verify"],
              ["replay", "--check"], ["events"], ["worker", "list"], ["dlq", "list"]):
    print(ctl(*words).err, end="")
for words in (["enqueue", "--", "true"], ["worker", "start"], ["dlq", "retry", "1"], ["replay"],
              ["cancel", "1"], ["config", "set", "jitter", "0.5"]):
    refused = ctl(*words, code=6)
    print(refused.out + refused.err, end="")
"""


@needs_mounts
def test_read_only_mount_is_read_and_not_written(tmp_path: Path) -> None:
    printed = on_tmpfs(tmp_path, "size=4m", READ_ONLY)
    assert len(printed) == 6, printed
    assert all(line.startswith("error: ") and "is mounted read-only" in line for line in printed), (
        printed
    )


def limited(ctl: Ctl, limit: int, value: int, *words: str) -> Result:
    """Run `queuectl WORDS` with one limit of setrlimit(2)."""
    done = subprocess.run(
        [*PROGRAM, *words],
        env=ctl.env,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        preexec_fn=partial(resource.setrlimit, limit, (value, value)),
    )
    return Result(done.returncode, done.stdout, done.stderr)


# Below these values Python itself does not begin.
LIMITS = {
    "memory": (resource.RLIMIT_AS, range(14 * MIB, 44 * MIB, 2 * MIB)),
    "descriptors": (resource.RLIMIT_NOFILE, range(5, 12)),
    "size of a file": (resource.RLIMIT_FSIZE, range(0, 200_000, 20_000)),
}


@pytest.mark.parametrize("what", LIMITS)
def test_under_a_limit_a_job_is_accepted_or_refused_in_one_line(ctl: Ctl, what: str) -> None:
    limit, values = LIMITS[what]
    accepted = [ctl.enqueue("true")]
    codes = set()
    for value in values:
        done = limited(ctl, limit, value, "enqueue", "--", "true")
        codes.add(done.code)
        accepted += done.lines
        assert done.code in (0, 6, 8), done
        assert done.err.count("\n") == (done.code != 0), done
        assert done.err.startswith("error: ") or not done.err
    assert {0, 6} <= codes
    assert set(accepted) <= set(ctl("list", "--all").jobs)
    assert ctl("verify").code == ctl("replay", "--check").code == 0


def as_other_user(ctl: Ctl, processes: int, *words: str) -> Running:
    """Start a worker of a user with this limit of processes; of this user if not root."""
    for path in (ctl.folder, *ctl.folder.rglob("*")):
        os.chown(path, OWNER if ROOT else -1, -1)
    # The program may be in a folder that belongs to root.
    user = ["setpriv", "--reuid", str(OWNER), "--clear-groups"]
    for capabilities in ("--bounding-set", "--inh-caps", "--ambient-caps"):
        user += [capabilities, "-all,+dac_override"]
    worker = (*PROGRAM, "worker", "start", "--until-empty", *words)
    process = subprocess.Popen(
        [*(user if ROOT else []), "prlimit", f"--nproc={processes}:{ENOUGH}", *worker],
        env=ctl.env,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Running(process)


def test_worker_that_cannot_fork_reports_it(ctl: Ctl) -> None:
    ctl.enqueue("true")
    ended = as_other_user(ctl, 1).ends()
    assert ended.code == 6
    assert ended.err.startswith("error: Resource temporarily unavailable; a limit of this shell")
    assert "\n" not in ended.err


def take_back(ctl: Ctl) -> None:
    for path in (ctl.folder, *ctl.folder.rglob("*")):
        os.chown(path, 0, -1)


@needs_another_user
def test_worker_without_threads_claims_no_job(ctl: Ctl) -> None:
    job = ctl.enqueue("true")
    running = as_other_user(ctl, KEEPER_AND_SUPERVISOR)
    running.says("the machine is out of processes; trying again")
    running.kill()
    assert running.ends().code == 0
    take_back(ctl)
    assert ctl.event_types(job) == ["enqueued"]


@needs_another_user
def test_worker_starts_once_it_gets_threads(ctl: Ctl) -> None:
    job = ctl.enqueue("true")
    running = as_other_user(ctl, KEEPER_AND_SUPERVISOR)
    running.says("the machine is out of processes; trying again")
    for pid in below(running.pid):
        allow(pid, ENOUGH)
    assert running.ends().code == 0
    take_back(ctl)
    assert ctl.event_types(job) == ["enqueued", "claimed", "succeeded"]


@needs_another_user
def test_job_that_cannot_be_started_is_released(ctl: Ctl) -> None:
    job = ctl.enqueue("true")
    running = as_other_user(ctl, KEEPER_AND_SUPERVISOR + THREADS)
    running.says("the machine is out of processes; trying again")
    running.kill()
    assert running.ends().code == 0
    take_back(ctl)
    assert ctl.event_types(job)[:3] == ["enqueued", "claimed", "released"]
    assert ctl.show(job)["state"] == "pending"


@needs_another_user
def test_limit_of_processes_fails_and_ends_no_job(ctl: Ctl) -> None:
    jobs = [ctl.enqueue("exec sleep 0.5", max_retries=0) for _ in range(3)]
    running = as_other_user(ctl, KEEPER_AND_SUPERVISOR + THREADS + 1, "--count", "2")
    assert running.ends().code == 0
    take_back(ctl)
    for job in jobs:
        assert set(ctl.event_types(job)) <= {"enqueued", "claimed", "released", "succeeded"}
        assert ctl.show(job)["state"] == "completed"


@needs_another_user
def test_keeper_that_may_not_fork_tries_again(ctl: Ctl) -> None:
    job = ctl.enqueue("test -e up || { touch up; sleep 60; }", cwd=str(ctl.folder))
    running = as_other_user(ctl, ENOUGH)
    until(lambda: (ctl.folder / "up").exists() or None, "the job")
    (supervisor,) = below(running.pid)
    allow(running.pid, 1)
    os.kill(supervisor, signal.SIGKILL)
    running.says("no supervisor can be started")
    allow(running.pid, ENOUGH)
    assert running.ends().code == 0
    take_back(ctl)
    assert ctl.show(job)["state"] == "completed"


def allow(pid: int, processes: int) -> None:
    """Change the soft limit of a process of the other user."""
    user = ["setpriv", "--reuid", str(OWNER), "--clear-groups"]
    subprocess.run([*user, "prlimit", "--pid", str(pid), f"--nproc={processes}:"], check=True)


def below(pid: int) -> list[int]:
    """The children of a process."""
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

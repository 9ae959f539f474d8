"""Judge the values that the checks of `doctor` have read. Each function returns a Finding.

All functions are pure. machine.py and processes.py read the values; report.py runs the checks.
"""

import errno
import shlex
import stat
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from eventstore.errors import DISK_FULL, Unwritable

from ..outputs.check import OutputProblem
from ..text.numbers import plural
from ..text.processes import unendable_advice
from ..text.sizes import size
from ..worker.process_sweep import Unendable

WAL_BYTES = 256 << 20
"""A WAL is larger only if a reader prevents checkpoints: normally it is cut to 64 MiB."""

FREE_BYTES = 64 << 20
"""Less free space than this is a problem."""
FREE_INODES = 1_000
"""Fewer free inodes than this are a problem."""
FSYNC_MS = 100.0
"""A longer median of an fsync is a problem: each `enqueue` and each result waits for one."""

DESCRIPTORS = 256
"""A hard limit below this is too low: a worker needs 64, and 3 per concurrent job."""


Level = Literal["ok", "note", "problem"]


class Finding(NamedTuple):
    """The result of one check."""

    check: str
    """Name of the check."""
    result: str
    """What the check found, in words."""
    todo: str | None = None
    """What to do about it; None if everything is in order."""
    note: bool = False
    """Whether it is only a note: nothing is broken, so it does not change the exit code."""

    @property
    def level(self) -> Level:
        """The severity of this finding."""
        if self.todo is None:
            return "ok"
        return "note" if self.note else "problem"


class Entry(NamedTuple):
    """A file or folder of the queue."""

    path: str
    mode: int
    """The type and the permissions, as in `st_mode`."""
    owner: int
    """The user id of the owner."""


def packages(versions: str, folders: Sequence[str]) -> Finding:
    """Check that all packages are of one installation. folders: the folder of each package."""
    if len(set(folders)) == 1:
        return Finding("versions", versions)
    places = ", ".join(dict.fromkeys(folders))
    return Finding(
        "versions",
        f"{versions}, from {places}",
        "reinstall queuectl: its files come from several installations",
    )


def modes(entries: Sequence[Entry], user_id: int) -> Finding:
    """Check that only this user (id `user_id`) can access the files."""
    listed = ", ".join(f"{_name(entry)} {stat.S_IMODE(entry.mode):04o}" for entry in entries)
    if of_others := [entry for entry in entries if entry.owner != user_id]:
        owner = of_others[0].owner
        words = f"{listed}; {_name(of_others[0])} belongs to user {owner}, not to you"
        return Finding("modes", words, f"run queuectl as user {owner}, or change the owner")
    if shared := [entry.path for entry in entries if stat.S_IMODE(entry.mode) & 0o077]:
        return Finding(
            "modes", f"{listed}; others can read them", f"chmod go-rwx {shlex.join(shared)}"
        )
    return Finding("modes", f"{listed}, yours")


def place(folder: Entry, user_id: int) -> Finding:
    """Check that only this user (id `user_id`) can create files in the folder of the queue."""
    mode = stat.S_IMODE(folder.mode)
    words = f"{folder.path} {mode:04o}"
    if folder.owner not in (0, user_id):
        return Finding("folder", f"{words}, of user {folder.owner}", "move the queue to your own")
    if mode & 0o022:
        todo = "move the queue to a folder of your own, or chmod go-w this one"
        return Finding("folder", f"{words}; others may put files into it", todo)
    return Finding("folder", words)


def _name(entry: Entry) -> str:
    name = entry.path.rpartition("/")[2]
    return f"{name}/" if stat.S_ISDIR(entry.mode) else name


def wal(wal_bytes: int) -> Finding:
    """Check that the WAL is checkpointed into the queue file. wal_bytes: its size."""
    todo = "a long-running reader prevents checkpoints; find it with fuser or lsof, and stop it"
    return Finding("wal", size(wal_bytes), todo if wal_bytes > WAL_BYTES else None)


def room(free_bytes: int, free_inodes: int | None) -> Finding:
    """Check the free space on disk. free_inodes: None if the file system does not count them."""
    inodes = "" if free_inodes is None else f" and {plural(free_inodes, 'inode')}"
    short = free_bytes < FREE_BYTES or (free_inodes is not None and free_inodes < FREE_INODES)
    todo = "free some space: without it nothing is enqueued, and results are held in memory"
    return Finding("disk", f"{size(free_bytes)}{inodes} free", todo if short else None)


def fsync(median_ms: float) -> Finding:
    """Check how long the disk takes to store a page permanently. median_ms: milliseconds."""
    todo = "each command and each result waits so long: put the queue on a faster disk"
    return Finding("fsync", f"{median_ms:.3g} ms", todo if median_ms > FSYNC_MS else None)


def unwritable(folder: Entry, user_id: int, why: Unwritable | None, error: OSError) -> Finding:
    """Return the problem that no job can be enqueued and no result recorded. user_id: this user.

    why: None if files can be created in the folder. error: raised by the test write.
    """
    name = shlex.quote(folder.path)
    if why == "mount":
        words = f"{folder.path} is on a file system that is mounted read-only"
        todo = (
            "check the disk: after an error the kernel mounts a file system read-only (dmesg);"
            f" then mount -o remount,rw {name}, or move the queue"
        )
    elif error.errno in DISK_FULL:
        words = f"no space left in {folder.path}: no job can be enqueued"
        todo = "free some space there (df shows how much is left, df -i how many files)"
    elif error.errno == errno.EFBIG:
        words = "this shell's limit for the size of a file is reached: no job can be enqueued"
        todo = "raise the limit (ulimit -f unlimited)"
    elif why is None:
        words = f"{folder.path} cannot be written ({error.strerror}): no job can be enqueued"
        todo = "check the disk (dmesg), or move the queue"
    elif folder.owner != user_id:
        words = f"{folder.path} belongs to user {folder.owner}: no job can be enqueued"
        todo = f"take it over (sudo chown -R {user_id} {name}), or name another queue with --db"
    else:
        words = f"{folder.path} is not writable: no job can be enqueued"
        todo = f"make the folder writable (chmod u+w {name})"
    return Finding("fsync", words, todo)


def network(kind: str | None, overridden: bool) -> Finding:
    """Check that the file is on this machine. kind: the type of its network file system, if any."""
    if kind is not None:
        return Finding("network", f"the file is on {kind}", "move the queue to a local disk")
    if overridden:
        return Finding("network", "not checked: QUEUECTL_ALLOW_NETWORK=1")
    return Finding("network", "none: a local file system")


def descriptors(soft: int, hard: int | None) -> Finding:
    """Check the limits of open files. hard: None means unlimited."""
    words = f"open file limit: {soft:,}" + ("" if hard is None else f" (hard limit {hard:,})")
    few = hard is not None and hard < DESCRIPTORS
    todo = "raise the hard limit: a worker needs 64 and 3 for each job at a time (ulimit -Hn)"
    return Finding("descriptors", words, todo if few else None)


def marks(unlimited: bool) -> Finding:
    """Check that attempts can have the mark that a process cannot lose by accident.

    unlimited: whether the hard limit of RLIMIT_RTTIME is unlimited.
    """
    if unlimited:
        words = "a job's processes are found by a resource limit and a variable that they inherit"
        return Finding("marks", words)
    words = "a job's processes are found by a variable alone: RLIMIT_RTTIME is limited"
    todo = (
        "raise the hard limit (ulimit -HR unlimited);"
        " otherwise a process that clears its environment may be missed"
    )
    return Finding("marks", words, todo)


def leftovers(paths: Sequence[str]) -> Finding:
    """Check for unfinished files of a creation or a backup that was killed."""
    if not paths:
        return Finding("leftovers", "none")
    return Finding("leftovers", ", ".join(paths), f"rm -r {shlex.join(paths)}")


def views(
    status: Literal["current", "stale", "newer"],
    position: int,
    head: int,
    misshapen: Sequence[str] = (),
) -> Finding:
    """Check that the read models belong to this log and this version.

    position: the checkpoint that they have reached. head: position of the last event.
    misshapen: tables that are missing or lack a column.
    """
    if status == "newer":
        return Finding("views", "of a newer version", "upgrade queuectl")
    if status == "stale":
        return Finding("views", "of an older version", "queuectl replay")
    if misshapen:
        words = f"{', '.join(misshapen)} missing, or without a column"
        return Finding("views", words, "queuectl replay")
    if position != head:
        return Finding("views", f"at {position}, the log at {head}", "queuectl replay")
    return Finding("views", f"up to date (position {position})")


def workers(
    living: Sequence[str],
    dead: Sequence[str],
    claims: int,
    frozen: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> Finding:
    """Check the workers. living, dead: ids of workers whose end is not recorded.

    claims: the number of jobs that the dead ones have claimed. frozen: pids of the processes that
    are stopped by a signal, by worker id.
    """
    if dead:
        words = f"{', '.join(dead)} died with {plural(claims, 'job')} claimed"
        return Finding("workers", words, "queuectl worker start requeues their jobs")
    if frozen:
        words = ", ".join(
            f"{worker} is stopped by a signal (process {', '.join(map(str, pids))})"
            for worker, pids in frozen.items()
        )
        stopped = " ".join(str(pid) for pids in frozen.values() for pid in pids)
        return Finding("workers", words, f"kill -CONT {stopped}")
    return Finding("workers", f"{', '.join(living)} alive" if living else "none running")


def processes(pids: Sequence[int], claimed: bool) -> Finding:
    """Check for leftover processes of finished attempts.

    claimed: whether all of them belong to claims of dead workers, so that a takeover ends them.
    """
    if not pids:
        return Finding("processes", "no leftover processes of finished attempts")
    listed = " ".join(map(str, pids))
    whose = "attempts whose worker is dead" if claimed else "attempts that no worker runs"
    words = f"{plural(len(pids), 'process', 'processes')} of {whose}: {listed}"
    todo = "queuectl worker start ends them" if claimed else f"look at them, then kill -9 {listed}"
    return Finding("processes", words, todo)


def unendable(processes: Sequence[Unendable]) -> Finding:
    """Return the problem that a worker cannot end these processes."""
    words = "; ".join(unendable_advice(*process) for process in processes)
    of_others = [str(process.pid) for process in processes if process.user is not None]
    todo = f"sudo kill {' '.join(of_others)}" if of_others else "bring the disk or the mount back"
    return Finding("unendable", words, todo)


def bells(workers: int, unreachable: Sequence[str]) -> Finding:
    """Check that workers are notified of new jobs. unreachable: ids of workers without a FIFO."""
    if unreachable:
        todo = "it is created again within 30 s; exclude the .d folder from clean-up programs"
        words = f"no FIFO to notify a worker of new jobs at once: {', '.join(unreachable)}"
        return Finding("bells", words, todo)
    if workers == 0:
        return Finding("bells", "no running worker to notify of new jobs")
    verb = "is" if workers == 1 else "are"
    return Finding("bells", f"{plural(workers, 'worker')} {verb} notified of new jobs at once")


def locks(held: int, stale: Sequence[str]) -> Finding:
    """Check the lock files. held: the number in use. stale: names of files that no worker uses.

    A worker that was refused, by a standby for example, leaves them.
    """
    if stale:
        todo = "they do no harm; the next queuectl worker start removes them"
        return Finding("locks", f"left over: {', '.join(stale)}", todo, note=True)
    return Finding("locks", f"{plural(held, 'lock file')}, in use")


def outputs(problems: Sequence[OutputProblem]) -> Finding:
    """Check that outputs match the log. Missing outputs are only a note: no other data is lost."""
    if not problems:
        return Finding("outputs", "all match the log")
    changed = [problem for problem in problems if problem.kind == "changed"]
    parts = [f"{len(changed):,} changed"] if changed else []
    if len(problems) > len(changed):
        parts.append(f"{len(problems) - len(changed):,} missing")
    words = f"{' and '.join(parts)}; the first: {(changed or problems)[0].words}"
    return Finding("outputs", words, "queuectl verify --outputs names all", note=not changed)


OVERDUE_S = 60
"""Jobs that are overdue for longer are reported. Workers check for due jobs every 30 s."""


def dead(jobs: int) -> Finding:
    """Note dead jobs: a person has to decide about them, but nothing is broken."""
    if not jobs:
        return Finding("dead", "no dead jobs")
    todo = "queuectl dlq list shows them, queuectl dlq retry runs them again"
    return Finding("dead", plural(jobs, "dead job"), todo, note=True)


def waiting(without_worker: Mapping[str, int], workers: int) -> Finding:
    """Note pending jobs that no worker would run.

    without_worker: the number of such jobs, by queue. workers: the number of living workers.
    """
    if not without_worker:
        return Finding("waiting", "every pending job has a worker")
    number = plural(sum(without_worker.values()), "job")
    if not workers:
        words = f"{number} pending, and no worker is running"
        return Finding("waiting", words, "queuectl worker start", note=True)
    names = ", ".join(sorted(without_worker))
    options = " ".join(f"--queue {shlex.quote(name)}" for name in sorted(without_worker))
    words = f"{number} pending in {names}, and no running worker serves that"
    return Finding("waiting", words, f"queuectl worker start {options}", note=True)


def overdue(jobs: int, *, at_least: bool, workers: int) -> Finding:
    """Check for retries and delayed jobs that are overdue by more than a minute.

    at_least: whether there are more than `jobs`. workers: the number of living workers. If one is
    alive, this is a problem, because it should have requeued the jobs.
    """
    if not jobs:
        return Finding("overdue", "no overdue jobs")
    words = f"{'at least ' if at_least else ''}{plural(jobs, 'job')} overdue by more than a minute"
    if not workers:
        todo = "queuectl worker start"
        return Finding("overdue", f"{words}, and no worker is running", todo, note=True)
    todo = "see what the worker waits for, or restart it: queuectl worker stop"
    return Finding("overdue", f"{words}, although a worker is running", todo)

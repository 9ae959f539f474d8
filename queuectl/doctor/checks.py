"""What a figure or a fact means: well, or a problem and what to do about it. All pure."""

import errno
import shlex
import stat
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from eventstore.errors import DISK_FULL, Unwritable

from ..text.numbers import plural
from ..text.processes import unendable_advice
from ..text.sizes import size
from ..worker.process_sweep import Unendable

WAL_BYTES = 256 << 20
"""A larger WAL is one that a reader keeps from being taken in: else it is cut at 64 MiB."""

FREE_BYTES = 64 << 20
FREE_INODES = 1_000
FSYNC_MS = 100.0
"""Each `enqueue` and each result waits for one."""

DESCRIPTORS = 256
"""A worker needs 64, and 3 for each job that runs at the same time."""


Level = Literal["ok", "note", "problem"]


class Finding(NamedTuple):
    """What one check found."""

    check: str
    found: str
    todo: str | None = None
    """What to do about it; null if everything is in order."""
    note: bool = False
    """Whether it is worth a look, and nothing is wrong: it does not change the exit code."""

    @property
    def level(self) -> Level:
        """How much it matters."""
        if self.todo is None:
            return "ok"
        return "note" if self.note else "problem"


class Entry(NamedTuple):
    """A file or folder of the queue."""

    path: str
    mode: int
    """As `st_mode`."""
    owner: int
    """User id."""


def packages(versions: str, folders: Sequence[str]) -> Finding:
    """Whether the three packages are of one installation. folders: where each was loaded from."""
    if len(set(folders)) == 1:
        return Finding("versions", versions)
    places = ", ".join(dict.fromkeys(folders))
    return Finding(
        "versions",
        f"{versions}, from {places}",
        "reinstall queuectl: its files come from several installations",
    )


def modes(entries: Sequence[Entry], me: int) -> Finding:
    """Whether the files are this user's (id `me`) alone."""
    found = ", ".join(f"{_name(one)} {stat.S_IMODE(one.mode):04o}" for one in entries)
    if strange := [one for one in entries if one.owner != me]:
        owner = strange[0].owner
        words = f"{found}; {_name(strange[0])} belongs to user {owner}, not to you"
        return Finding("modes", words, f"run queuectl as user {owner}, or change the owner")
    if shared := [one.path for one in entries if stat.S_IMODE(one.mode) & 0o077]:
        return Finding(
            "modes", f"{found}; others can read them", f"chmod go-rwx {shlex.join(shared)}"
        )
    return Finding("modes", f"{found}, yours")


def place(folder: Entry, me: int) -> Finding:
    """Whether only this user (id `me`) may put files beside the queue."""
    mode = stat.S_IMODE(folder.mode)
    found = f"{folder.path} {mode:04o}"
    if folder.owner not in (0, me):
        return Finding("folder", f"{found}, of user {folder.owner}", "move the queue to your own")
    if mode & 0o022:
        todo = "move the queue to a folder of your own, or chmod go-w this one"
        return Finding("folder", f"{found}; others may put files into it", todo)
    return Finding("folder", found)


def _name(entry: Entry) -> str:
    name = entry.path.rpartition("/")[2]
    return f"{name}/" if stat.S_ISDIR(entry.mode) else name


def wal(wal_bytes: int) -> Finding:
    """Whether what was committed finds its way into the queue file."""
    todo = "a program that reads an old state keeps it so; end it, such as with fuser or lsof"
    return Finding("wal", size(wal_bytes), todo if wal_bytes > WAL_BYTES else None)


def room(free_bytes: int, free_inodes: int | None) -> Finding:
    """Whether there is room to write. free_inodes: null where the file system does not count."""
    inodes = "" if free_inodes is None else f" and {plural(free_inodes, 'inode')}"
    short = free_bytes < FREE_BYTES or (free_inodes is not None and free_inodes < FREE_INODES)
    todo = "free some space: without it nothing is enqueued, and results are held in memory"
    return Finding("disk", f"{size(free_bytes)}{inodes} free", todo if short else None)


def fsync(median_ms: float) -> Finding:
    """How long the disk takes to hold on to a page."""
    todo = "each command and each result waits so long: put the queue on a faster disk"
    return Finding("fsync", f"{median_ms:.3g} ms", todo if median_ms > FSYNC_MS else None)


def unwritable(folder: Entry, me: int, why: Unwritable | None, error: OSError) -> Finding:
    """That no job can be enqueued and no result recorded. me: this user's id.

    why: null if files can be created in the folder. error: of the write that was tried.
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
    elif folder.owner != me:
        words = f"{folder.path} belongs to user {folder.owner}: no job can be enqueued"
        todo = f"take it over (sudo chown -R {me} {name}), or name another queue with --db"
    else:
        words = f"{folder.path} is not writable: no job can be enqueued"
        todo = f"make the folder writable (chmod u+w {name})"
    return Finding("fsync", words, todo)


def network(kind: str | None, overridden: bool) -> Finding:
    """Whether the file is on this machine. kind: of the network file system it is on."""
    if kind is not None:
        return Finding("network", f"the file is on {kind}", "move the queue to a local disk")
    if overridden:
        return Finding("network", "not looked at: QUEUECTL_ALLOW_NETWORK=1")
    return Finding("network", "none: a local file system")


def descriptors(soft: int, hard: int | None) -> Finding:
    """How many files may be open. hard: null is as many as one likes."""
    found = f"open file limit: {soft:,}" + ("" if hard is None else f" (hard limit {hard:,})")
    few = hard is not None and hard < DESCRIPTORS
    todo = "raise the hard limit: a worker needs 64 and 3 for each job at a time (ulimit -Hn)"
    return Finding("descriptors", found, todo if few else None)


def marks(unlimited: bool) -> Finding:
    """Whether each attempt's processes can carry a mark that they cannot lose by accident."""
    if unlimited:
        found = "a job's processes are found by a resource limit and a variable that they inherit"
        return Finding("marks", found)
    found = "a job's processes are found by a variable alone: RLIMIT_RTTIME is limited"
    todo = (
        "raise the hard limit (ulimit -HR unlimited);"
        " otherwise a process that clears its environment may be missed"
    )
    return Finding("marks", found, todo)


def leftovers(paths: Sequence[str]) -> Finding:
    """Files of a creation or a backup that was killed."""
    if not paths:
        return Finding("leftovers", "none")
    return Finding("leftovers", ", ".join(paths), f"rm -r {shlex.join(paths)}")


def views(
    standing: Literal["current", "stale", "newer"],
    position: int,
    head: int,
    misshapen: Sequence[str] = (),
) -> Finding:
    """Whether the read models are those of this log and this version. position: they reached.

    misshapen: tables that are missing, or not as they were made.
    """
    if standing == "newer":
        return Finding("views", "of a newer version", "upgrade queuectl")
    if standing == "stale":
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
    """Who works. dead: ids of those whose end nobody recorded, which hold `claims` jobs.

    frozen: pids of the stopped processes, by worker.
    """
    if dead:
        words = f"{', '.join(dead)} died with {plural(claims, 'job')} claimed"
        return Finding("workers", words, "queuectl worker start takes over what they had")
    if frozen:
        words = ", ".join(
            f"{worker} is stopped by a signal (process {', '.join(map(str, pids))})"
            for worker, pids in frozen.items()
        )
        stopped = " ".join(str(pid) for pids in frozen.values() for pid in pids)
        return Finding("workers", words, f"kill -CONT {stopped}")
    return Finding("workers", f"{', '.join(living)} alive" if living else "none running")


def processes(pids: Sequence[int], claimed: bool) -> Finding:
    """What attempts that are over left running. claimed: all of it by jobs of dead workers."""
    if not pids:
        return Finding("processes", "no leftover processes of finished attempts")
    listed = " ".join(map(str, pids))
    words = f"{plural(len(pids), 'process', 'processes')} of finished attempts: {listed}"
    todo = "queuectl worker start ends them" if claimed else f"look at them, then kill -9 {listed}"
    return Finding("processes", words, todo)


def unendable(found: Sequence[Unendable]) -> Finding:
    """Processes that were to end and that their worker cannot end."""
    words = "; ".join(unendable_advice(*process) for process in found)
    foreign = [str(process.pid) for process in found if process.user is not None]
    todo = f"sudo kill {' '.join(foreign)}" if foreign else "bring the disk or the mount back"
    return Finding("unendable", words, todo)


def bells(workers: int, unreachable: Sequence[str]) -> Finding:
    """Whether each worker hears of new jobs at once. unreachable: ids of those without a FIFO."""
    if unreachable:
        todo = "it is made again within 30 s; keep programs that clean up away from the .d folder"
        found = f"no FIFO to notify a worker of new jobs at once: {', '.join(unreachable)}"
        return Finding("bells", found, todo)
    if workers == 0:
        return Finding("bells", "no running worker to notify of new jobs")
    verb = "is" if workers == 1 else "are"
    return Finding("bells", f"{plural(workers, 'worker')} {verb} notified of new jobs at once")


def locks(held: int, stale: Sequence[str]) -> Finding:
    """The lock files. held: how many are in use. stale: those that were left behind."""
    if stale:
        todo = "they do no harm; the next queuectl worker start removes them"
        return Finding("locks", f"left over: {', '.join(stale)}", todo)
    return Finding("locks", f"{plural(held, 'lock file')}, in use")


OVERDUE_S = 60
"""Workers look at least every 30 s for what has fallen due."""


def dead(jobs: int) -> Finding:
    """Jobs that have failed for good: somebody has to decide about them, but nothing is broken."""
    if not jobs:
        return Finding("dead", "no dead jobs")
    todo = "queuectl dlq list shows them, queuectl dlq retry runs them again"
    return Finding("dead", plural(jobs, "dead job"), todo, note=True)


def waiting(unserved: Mapping[str, int], workers: int) -> Finding:
    """Pending jobs that no worker would take. unserved: how many, by queue. workers: that live."""
    if not unserved:
        return Finding("waiting", "every pending job has a worker")
    number = plural(sum(unserved.values()), "job")
    if not workers:
        words = f"{number} pending, and no worker is running"
        return Finding("waiting", words, "queuectl worker start", note=True)
    names = ", ".join(sorted(unserved))
    options = " ".join(f"--queue {shlex.quote(name)}" for name in sorted(unserved))
    words = f"{number} pending in {names}, and no running worker serves that"
    return Finding("waiting", words, f"queuectl worker start {options}", note=True)


def overdue(jobs: int, *, at_least: bool, workers: int) -> Finding:
    """Retries and delayed jobs whose time passed more than a minute ago.

    at_least: whether there are more than `jobs`. workers: that live; they should have noticed.
    """
    if not jobs:
        return Finding("overdue", "no overdue jobs")
    words = f"{'at least ' if at_least else ''}{plural(jobs, 'job')} overdue by more than a minute"
    if not workers:
        todo = "queuectl worker start"
        return Finding("overdue", f"{words}, and no worker is running", todo, note=True)
    todo = "see what the worker waits for, or restart it: queuectl worker stop"
    return Finding("overdue", f"{words}, although a worker is running", todo)

"""Replace a queue by a verified backup, completely or not at all; the old queue is kept."""

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

from eventstore.errors import (
    ChainBroken,
    ForeignFile,
    NoFolder,
    Unusable,
)
from eventstore.file_identity import file_identity
from eventstore.lock import Lock
from eventstore.output_files import pieces_next_to
from eventstore.parts import refuse_part
from eventstore.queue_file import (
    Copy,
    LogEnds,
    check_copy,
    exclusive_use,
    log_ends,
    refuse_other_than_a_queue,
)
from eventstore.renaming import NO_LINKS
from eventstore.side_folder import SideFolder
from eventstore.store import Head, OnProgress
from eventstore.syncing import sync
from eventstore.write_access import write_error

from .backup import IfExists
from .errors import Refusal
from .outputs.check import OutputProblem, outputs_of_copy
from .outputs.copies import CREATE, FOLDER, clear, copy_outputs


class NoBackup(Unusable):
    """The file is not a usable backup; nothing was changed."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path} {what}; name another backup, nothing was changed")


class DamagedBackup(ChainBroken):
    """The log in the backup is damaged; nothing was changed."""

    def __init__(self, path: str, position: int, what: str) -> None:
        super().__init__(position, what)
        words = f"{path} is damaged at position {position}: {what}"
        self.args = (f"{words}; restore another backup, nothing was changed",)


class ChangedOutput(ChainBroken):
    """An output in the backup is not what the log recorded; nothing was changed."""

    def __init__(self, path: str, problem: OutputProblem) -> None:
        super().__init__(problem.position, problem.words)
        todo = "restore another backup"
        if problem.folder is not None:
            todo += f", or remove {path}.d/outputs/{problem.folder} to restore without it"
        self.args = (f"{path} is damaged: {problem.words}; {todo}; nothing was changed",)


class WorkersRunning(Refusal):
    """A worker is still running on the queue that would be replaced."""

    def __init__(self, ids: list[str]) -> None:
        which = f"worker {ids[0]} is" if len(ids) == 1 else f"workers {', '.join(ids)} are"
        super().__init__(f"{which} running on this queue; first run: queuectl worker stop --now")
        self.ids = ids


class WouldDiscard(Refusal):
    """The queue has events that are not in the backup."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path} {what}; --force restores anyway, and keeps it under another name")


class Restored(NamedTuple):
    """A restore that was done, or would be done without `dry_run`."""

    path: str
    head: Head
    kept_as: str | None
    """The new name of the queue that was replaced; None if there was none."""
    discarded: int
    """Number of events of the replaced queue that are not in the backup."""
    outputs: int
    """Number of attempts whose long output was copied."""
    missing: list[OutputProblem]
    """Outputs that the backup does not have."""


class _Target(NamedTuple):
    """The queue that will be replaced."""

    exists: bool
    discarded: int


def restore(
    backup: str,
    path: str,
    expected: Head | None,
    if_exists: IfExists,
    *,
    dry_run: bool,
    on_progress: OnProgress = lambda _, __: None,
) -> Restored:
    """Replace the queue file at `path` by a copy of `backup` (both absolute).

    expected: a head that the backup must contain. if_exists: whether to replace a queue that has
    events that are not in the backup. Raises NoBackup, DamagedBackup, ChangedOutput, HeadMissing,
    WorkersRunning, WouldDiscard, or Unusable. If it raises, the queue has not been changed.
    """
    _refuse_backup(backup, path)
    if not os.path.isdir(os.path.dirname(path)):
        raise NoFolder(os.path.dirname(path))
    refuse_part(path)
    copy = _checked(backup, backup, expected, on_progress)
    target = _target(path, copy, backup, if_exists)
    _refuse_workers(path)
    kept_as = _kept_name(path) if target.exists or _leftovers(path) else None
    if dry_run:
        missing = _missing_outputs(backup, backup)
        return Restored(path, copy.head, kept_as, target.discarded, len(copy.in_files), missing)
    building = f"{path}.{os.urandom(6).hex()}.new"
    try:
        _copy_file(backup, building)
        copy = _checked(building, backup, expected, on_progress)
        outputs = _copy_backup_outputs(backup, copy, building)
        missing = _missing_outputs(building, backup)
        with exclusive_use(path) if target.exists else nullcontext():
            _exchange(building, path, kept_as)
        return Restored(path, copy.head, kept_as, target.discarded, outputs, missing)
    except OSError as error:
        raise write_error(error, path) from None
    finally:
        clear(building)


def _refuse_backup(backup: str, path: str) -> None:
    try:
        status = os.stat(backup)
    except OSError as error:
        raise NoBackup(backup, f"cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(status.st_mode):
        what = "is a directory" if stat.S_ISDIR(status.st_mode) else "is not a regular file"
        raise NoBackup(backup, what)
    if file_identity(path) == file_identity(backup):
        raise NoBackup(backup, "is the queue itself")
    for part in (f"{backup}-wal", f"{backup}-journal"):
        if os.path.lexists(part) and os.lstat(part).st_size:
            raise NoBackup(
                backup,
                f"is in use as a queue, or was ({part} has records that the file has not);"
                f" make a backup of it: queuectl --db {backup} backup FILE",
            )
    try:
        refuse_other_than_a_queue(backup)
    except ForeignFile as error:
        raise NoBackup(backup, error.what) from None


def _checked(file: str, backup: str, expected: Head | None, on_progress: OnProgress) -> Copy:
    """Verify a copy and return what it contains. backup: the name of the file in errors."""
    try:
        return check_copy(file, backup, expected, on_progress)
    except ChainBroken as error:
        raise DamagedBackup(backup, error.position, error.what) from None


def _target(path: str, copy: Copy, backup: str, if_exists: IfExists) -> _Target:
    """Examine the queue that will be replaced.

    Raises WouldDiscard, or ForeignFile if the file is not a queue.
    """
    if not os.path.lexists(path):
        return _Target(exists=False, discarded=0)
    log = log_ends(path, copy.head.position)
    if log is None:  # a damaged queue may be replaced: that is the purpose of backups
        return _Target(exists=True, discarded=0)
    discarded, what = _difference(log, copy, backup)
    if what and if_exists == "refuse":
        raise WouldDiscard(path, what)
    return _Target(exists=True, discarded=discarded)


def _difference(log: LogEnds, copy: Copy, backup: str) -> tuple[int, str | None]:
    """Return how many events of the log are not in the copy, and why; (0, None) if none are."""
    head = copy.head
    end = log.end
    if end == 0:
        return 0, None
    if log.first_hash != copy.first_hash:
        return end, f"holds another queue than {backup}"
    if end > head.position:
        if log.hash != head.hash:
            return end, f"has another history than {backup}"
        after = end - head.position
        events = "1 event" if after == 1 else f"{after:,} events"
        return after, f"has {events} that {backup} does not have (it ends at {head.position})"
    return 0, None


def _refuse_workers(path: str) -> None:
    side_folder = SideFolder(f"{path}.d")
    try:
        folder = side_folder.existing("locks")
        if folder is None:
            return
        names = [name for name in os.listdir(folder) if name.startswith("worker-")]
        held = {name.removesuffix(".keeper") for name in names if Lock(folder, name).is_held()}
    finally:
        side_folder.close()
    if held:
        raise WorkersRunning(sorted(name.removeprefix("worker-") for name in held))


def _kept_name(path: str) -> str:
    """Return an unused name for the replaced queue, with the current local time."""
    name = f"{path}.replaced-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    kept = name
    while any(os.path.lexists(kept + suffix) for suffix in ("", "-wal", "-shm", ".d")):
        number += 1
        kept = f"{name}-{number}"
    return kept


def _leftovers(path: str) -> list[str]:
    """Return the suffixes of existing files that the restored queue would use as its own."""
    suffixes = ("-wal", "-shm", "-journal", ".d")
    return [suffix for suffix in suffixes if os.path.lexists(path + suffix)]


def _copy_file(backup: str, building: str) -> None:
    descriptor = os.open(building, CREATE, 0o600)
    with open(backup, "rb") as read, open(descriptor, "wb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())


def _copy_backup_outputs(backup: str, copy: Copy, building: str) -> int:
    with pieces_next_to(backup) as pieces:
        return len(copy_outputs(pieces, copy.in_files, f"{building}.d"))


def _missing_outputs(file: str, backup: str) -> list[OutputProblem]:
    """Return a problem for each output that a file lacks. backup: the name of the file in errors.

    Raises ChangedOutput if an output has been changed.
    """
    problems = outputs_of_copy(file, backup)
    for problem in problems:
        if problem.kind == "changed":
            raise ChangedOutput(backup, problem)
    return problems


def _exchange(building: str, path: str, kept_as: str | None) -> None:
    """Replace the old queue by the new one; undo all steps if one of them fails.

    A file with the name of the queue exists at every moment. The side folder is moved before the
    file, so that no output of the new file is missing.
    """
    with _undo_on_error() as undo:
        if kept_as is not None:
            for suffix in _leftovers(path):
                _move(path + suffix, kept_as + suffix, undo)
            if os.path.lexists(path):
                _link(path, kept_as, undo)
        if os.path.lexists(f"{building}.d"):
            _move(f"{building}.d", f"{path}.d", undo)
        os.rename(building, path)
    sync(os.path.dirname(path), FOLDER)


Undo = list[Callable[[], None]]


@contextmanager
def _undo_on_error() -> Iterator[Undo]:
    """Collect functions that undo the steps; if the block fails, call them in reverse order."""
    steps: Undo = []
    try:
        yield steps
    except BaseException:  # the old queue must be in its place again, also after Ctrl-C
        for step in reversed(steps):
            step()
        raise


def _move(old: str, new: str, undo: Undo) -> None:
    os.rename(old, new)
    undo.append(lambda: os.rename(new, old))


def _link(old: str, new: str, undo: Undo) -> None:
    """Give the file a second name. It also keeps its own, until the new file replaces it."""
    try:
        os.link(old, new)
        undo.append(lambda: os.unlink(new))
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _move(old, new, undo)  # no hard links on this file system

"""Back up a queue in use: a verified snapshot in a file, and the long outputs of its jobs."""

import filecmp
import os
import shutil
import stat
from contextlib import closing
from typing import Literal, NamedTuple

from eventstore.errors import ChainBroken, ForeignFile, Full, Unusable
from eventstore.file_identity import file_key
from eventstore.location import open_store
from eventstore.parts import real_name, whole_of
from eventstore.queue_file import (
    check_copy,
    delete_outputs,
    first_hash_of_copy,
    open_copy,
    refuse_other_than_a_queue,
    write_copy,
)
from eventstore.renaming import NO_LINKS, rename_new
from eventstore.store import Head, OnProgress, Store
from eventstore.syncing import sync
from eventstore.write_access import write_error

from .core.collector import collector_off
from .errors import Refusal
from .outputs.arrival import on_their_way
from .outputs.check import OutputProblem, outputs_of_copy
from .outputs.copies import CREATE, FOLDER, clear, copy_outputs, own_folder

IfExists = Literal["refuse", "replace"]


class BackupExists(Refusal):
    """A file with this name exists already."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} already exists; use --force to replace it")
        self.path = path


class NoPlace(Unusable):
    """No backup can be written to this path; an existing file was not changed."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path} {what}; choose another file for the backup")


class NoFolderForBackup(Unusable):
    """The folder for the backup does not exist."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"folder {folder} does not exist; create it or choose another path")


class DamagedOnServer(ChainBroken):
    """The log on the server is damaged; no backup was made."""

    def __init__(self, position: int, what: str) -> None:
        super().__init__(position, what)
        todo = "put a copy of a backup into a new queue, with init and migrate"
        self.args = (f"the log is damaged at position {position}: {what}; {todo}",)


class Backup(NamedTuple):
    """A backup that was written."""

    path: str
    head: Head
    size_bytes: int
    outputs: int
    """Number of attempts whose long output was copied into `<path>.d`."""
    problems: list[OutputProblem]
    """Outputs that are missing in the queue, or were left out because they were changed."""


def backup(
    store: Store,
    target: str,
    if_exists: IfExists = "refuse",
    on_progress: OnProgress = lambda _, __: None,
) -> Backup:
    """Write the current state of the queue to `target` (absolute), completely or not at all.

    if_exists: whether an older backup of this queue is replaced. The file gets its name after it
    was verified and synced to disk. Workers can keep running.
    Raises BackupExists, ChainBroken if the log is damaged, or Unusable if it cannot be written.
    """
    _refuse_target(store, target, if_exists)
    building = f"{target}.{os.urandom(6).hex()}.new"
    try:
        _create_empty(building, target)
        head = write_copy(store, building, lambda done, of: on_progress(done, 2 * of))
        if store.distant:
            _add_views(building)
        sync(building, os.O_RDONLY)
        copy = check_copy(
            building, store.label, head, lambda done, of: on_progress(of + done, 2 * of)
        )
        with open_copy(building, store.label) as tx:
            late = on_their_way(tx, store)
        complete = [attempt for attempt in copy.in_files if attempt not in late]
        copied = copy_outputs(store.pieces, complete, f"{building}.d")
        problems = outputs_of_copy(building, store.label)
        copied -= _leave_out_changed(problems, building)
        size = os.stat(building).st_size
        _put_in_place(building, target, if_exists)
        incomplete = {problem.folder for problem in problems if problem.folder is not None}
        # Keep the incomplete ones: the replaced backup may have a good copy.
        _drop_others(f"{target}.d", copied | incomplete)
        return Backup(target, head, size, len(copied), problems)
    except OSError as error:
        raise write_error(error, target) from None
    except Full:
        raise Full(target) from None
    except ChainBroken as error:
        if store.distant:
            raise DamagedOnServer(error.position, error.what) from None
        raise
    finally:
        clear(building)


def _add_views(building: str) -> None:
    """Fold the log of the copy into its tables."""
    from projections.rebuild import catch_up

    with closing(open_store(building)) as copy, collector_off():
        catch_up(copy)


def _leave_out_changed(problems: list[OutputProblem], building: str) -> set[str]:
    """Remove the changed outputs from the copy, so that it can be restored.

    Returns the names of the folders that were removed.
    """
    changed = [problem for problem in problems if problem.kind == "changed"]
    folders = {problem.folder for problem in changed if problem.folder is not None}
    for folder in folders:
        shutil.rmtree(os.path.join(f"{building}.d", "outputs", folder))
    rows = [(problem.job, problem.attempt) for problem in changed if problem.folder is None]
    if rows:
        delete_outputs(building, rows)
        sync(building, os.O_RDONLY)
    return folders


def _refuse_target(store: Store, target: str, if_exists: IfExists) -> None:
    """Check the target before anything is written."""
    _refuse_part_of_a_queue(store, target)
    # SQLite would copy the records of a stray WAL into the new file.
    for stray in (f"{target}-wal", f"{target}-journal"):
        if os.path.lexists(stray) and os.lstat(stray).st_size:
            raise NoPlace(target, f"has {os.path.basename(stray)} next to it: it is in use, or was")
    for path in (target, f"{target}.d"):
        if os.path.lexists(path) and if_exists == "refuse":
            raise BackupExists(path)
    if os.path.lexists(target):
        _refuse_other_than_a_backup(store, target)
    _refuse_shared(f"{target}.d")


def _refuse_part_of_a_queue(store: Store, target: str) -> None:
    """Raise NoPlace if the target is the queue, or has the name of a part of a queue file."""
    if os.path.realpath(target) == store.label or file_key(target) == store.key:
        raise NoPlace(target, "is the queue itself")
    if real_name(target).startswith(f"{store.side_folder.path}/"):
        raise NoPlace(target, "is in the folder of the queue itself")
    if (whole := whole_of(target)) is not None:
        raise NoPlace(target, f"would be taken for a part of {os.path.basename(whole)}")


def _refuse_other_than_a_backup(store: Store, target: str) -> None:
    """Raise NoPlace if the existing target is not an older state of this queue.

    The owner is not checked: files on a network share may belong to any user.
    """
    if os.path.isdir(target):
        raise NoPlace(target, "is a directory")
    if os.path.islink(target):
        raise NoPlace(target, "is a link")
    if not os.path.isfile(target):
        raise NoPlace(target, "is no backup of a queue (is not a regular file)")
    try:
        refuse_other_than_a_queue(target)
    except ForeignFile as error:
        raise NoPlace(target, f"is no backup of a queue ({error.what})") from None
    with store.read() as tx:
        first_hash = tx.hash_at(1)
    if (other_hash := first_hash_of_copy(target)) is not None and other_hash != first_hash:
        raise NoPlace(target, "holds another queue")


def _refuse_shared(folder: str) -> None:
    """Raise NoPlace if other users may write to the folder: a link could redirect the outputs."""
    if not os.path.lexists(folder):
        return
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise NoPlace(folder, "is not a directory")
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
        raise NoPlace(folder, "may be written by others (chmod go-w fixes that)")


def _create_empty(building: str, target: str) -> None:
    try:
        os.close(os.open(building, CREATE, 0o600))
    except (FileNotFoundError, NotADirectoryError):
        raise NoFolderForBackup(os.path.dirname(target)) from None
    except OSError as error:
        raise write_error(error, target) from None


def _put_in_place(building: str, target: str, if_exists: IfExists) -> None:
    """Move the outputs, then the file. So a backup that has its name has all its outputs, too."""
    _put_outputs(f"{building}.d", f"{target}.d")
    if if_exists == "replace":
        os.rename(building, target)
    else:
        try:
            os.link(building, target)
        except FileExistsError:
            raise BackupExists(target) from None
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if not rename_new(building, target):
                raise BackupExists(target) from None
    sync(os.path.dirname(target), FOLDER)


def _put_outputs(building: str, target: str) -> None:
    """Move the outputs to the folder of the backup.

    The outputs of an older backup are not removed: it needs them until it is replaced.
    """
    new, old = os.path.join(building, "outputs"), os.path.join(target, "outputs")
    if not os.path.lexists(new):
        return
    for folder in (new, building):
        sync(folder, FOLDER)
    if not os.path.lexists(target):
        os.rename(building, target)
        return
    own_folder(old)
    for name in os.listdir(new):
        if not _is_same_output(os.path.join(new, name), os.path.join(old, name)):
            shutil.rmtree(os.path.join(old, name), ignore_errors=True)
            os.rename(os.path.join(new, name), os.path.join(old, name))
    for folder in (old, target):
        sync(folder, FOLDER)


def _is_same_output(new: str, old: str) -> bool:
    """Return True if the old folder has the same output.

    After a restore, the same attempt may have run again with another output.
    """
    if not os.path.lexists(old):
        return False
    _, differing, unreadable = filecmp.cmpfiles(new, old, os.listdir(new), shallow=False)
    return not (differing or unreadable)


def _drop_others(folder: str, names: set[str]) -> None:
    """Delete the outputs that only the replaced backup needed. names: the folders to keep."""
    outputs = os.path.join(folder, "outputs")
    if os.path.isdir(outputs):
        for name in set(os.listdir(outputs)) - names:
            shutil.rmtree(os.path.join(outputs, name), ignore_errors=True)

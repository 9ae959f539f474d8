"""Move a queue to another place: from a file to a server, back, or between two of a kind.

The order makes it safe to end at any point. Until `log-moved` is recorded, the old queue is in use
and the new one is refused as incomplete. Afterwards the old one refuses all writes, and the same
command completes the new one. See docs/decisions/0021.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Literal, NamedTuple

from eventstore.copying import (
    copy_log,
    copy_rest,
    long_outputs,
    remove_sent_outputs,
    send_output,
)
from eventstore.errors import Missing, Moved, NotCreated, Unfinished
from eventstore.location import Location, open_store
from eventstore.new_place import NewPlace, new_place, resume_naming
from eventstore.store import Head, OnProgress, Reader, Store
from projections.folds.log import LogMove
from projections.folds.worker import Worker
from projections.read_models import counts, moves, workers
from projections.rebuild import catch_up, compare, rebuild
from projections.registry import first_schema

from .api import Queue
from .core.collector import collector_off
from .core.requests import MoveLog, RequestStop
from .core.snapshot import Reading
from .errors import MigrationRunning, NotMoved, StillRunning, ViewsDiffer
from .outputs.arrival import on_their_way
from .outputs.check import OutputProblem, check_outputs
from .outputs.copies import copy_outputs
from .text.numbers import plural

CHECK_S = 1.0
"""How often to look whether a worker has died."""

Attempt = tuple[str, int]
"""The id of a job, and the number of an attempt."""

IfRunning = Literal["refuse", "drain"]
"""What to do if the queue has workers: refuse, or ask them to finish their jobs, and wait."""

IfMoved = Literal["refuse", "lost"]
"""What to do if the queue has moved already: refuse, or copy it as it was, as that place is lost.
"""

Showing = Callable[[str], AbstractContextManager[OnProgress]]
"""Shows the progress of one step. Its argument is the name of the step, such as `copying`."""


class Migrated(NamedTuple):
    """A queue that has moved."""

    source: str
    target: str
    head: Head
    """The last event that both places have. In the old place, `log-moved` follows it."""
    problems: list[OutputProblem]
    """Outputs that are missing in the new place, or differ from what the log recorded."""


def silently(_: str) -> AbstractContextManager[OnProgress]:
    """Show no progress."""
    return nullcontext(lambda _, __: None)


def migrate(
    source: Queue,
    target: Location,
    if_running: IfRunning = "refuse",
    if_moved: IfMoved = "refuse",
    showing: Showing = silently,
) -> Migrated:
    """Move the queue to an empty place; return when that is complete and verified.

    Raises NotMoved, NotEmpty, OtherLog, StillRunning, MigrationRunning, Moved if it has moved to
    yet another place, ViewsDiffer, ChainBroken if a log is damaged, or Unusable. Then the target is
    incomplete or does not exist, and the same call continues.
    """
    with _alone(source.store):
        return _migrate(source, target, if_running, if_moved, showing)


def _migrate(
    source: Queue, target: Location, if_running: IfRunning, if_moved: IfMoved, showing: Showing
) -> Migrated:
    """Move the queue, which no other process migrates."""
    move = _move(source)
    if move is None and if_moved == "lost":
        raise NotMoved(source.location.name)
    if move is None:
        source.store.refuse_moving()
    if move is None and if_running == "refuse":
        with source.read() as tx:
            _refuse_running(source, tx)
    if move is not None:
        resume_naming(target, _last(move))
        if _is_complete(target, _last(move)):
            return Migrated(source.location.name, target.name, _last(move), [])
    with closing(new_place(target, first_schema)) as new:
        with _alone(new.store), collector_off():
            copied: set[Attempt] = set()
            if move is None:
                head = _moved(source, new, copied, if_running, showing)
            else:
                head = _last(move)
                if if_moved == "lost":
                    _copy_again(source, new, head, showing)
                if new.store.head() != head:  # else it was interrupted after the move
                    raise Moved(source.location.name, move.to)
            problems = _finish(source.store, new.store, copied, showing)
        new.complete()
    return Migrated(source.location.name, new.label, head, problems)


def _move(source: Queue) -> LogMove | None:
    with source.store.read() as tx:
        return moves.move(tx)


def _last(move: LogMove) -> Head:
    return Head(move.last_position, move.last_hash)


def _is_complete(place: Location, head: Head) -> bool:
    """Return whether there is a complete queue that contains this head."""
    try:
        store = open_store(place.place, readonly=True)
    except (Missing, NotCreated, Unfinished):
        return False
    with closing(store), store.read() as tx:
        return head.position == 0 or tx.hash_at(head.position) == head.hash


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Raise MigrationRunning if another process migrates this queue, or into this queue."""
    with store.alone("migrate") as alone:
        if not alone:
            raise MigrationRunning(store.label)
        yield


def _moved(
    source: Queue, new: NewPlace, copied: set[Attempt], if_running: IfRunning, showing: Showing
) -> Head:
    """Copy the queue, and record that it has moved; return the last common head."""
    with showing("copying") as progress:
        copy_log(source.store, new.store, progress)
    _build_views(new.store, showing)
    _copy_long_outputs(source.store, new.store, copied)
    if if_running == "drain":
        with showing("waiting for workers"):
            _drain(source)
    copy_log(source.store, new.store)  # so that little remains to be copied under the lock
    with source.write() as session:
        _refuse_running(source, session.tx)
        head = copy_rest(session.tx, new.store)
        session.send(MoveLog(to=new.label, position=head.position, hash=head.hash))
    return head


def _copy_again(source: Queue, new: NewPlace, head: Head, showing: Showing) -> None:
    """Copy the queue as it was when it moved. The old queue is not changed."""
    with showing("copying") as progress:
        copy_log(source.store, new.store, progress, head.position)
    _build_views(new.store, showing)


def _build_views(new: Store, showing: Showing) -> None:
    with showing("building views") as progress:
        if new.distant:
            rebuild(new, on_progress=progress)
        else:
            catch_up(new, progress)


def _finish(
    source: Store, new: Store, copied: set[Attempt], showing: Showing
) -> list[OutputProblem]:
    """Bring all next to the log up to date, and check it; return the problems of outputs."""
    catch_up(new)
    _copy_long_outputs(source, new, copied)
    with showing("checking") as progress:
        if differences := compare(new, progress):
            raise ViewsDiffer(new.label, len(differences))
    with showing("checking outputs") as progress, new.read_log() as tx:
        outputs = check_outputs(tx, new.pieces, on_progress=progress, has_all=new.has_all)
        return list(outputs)


def _copy_long_outputs(source: Store, new: Store, copied: set[Attempt]) -> None:
    """Copy the long outputs of all attempts that are not in `copied` yet, and add them to it."""
    with new.read() as tx:
        left_out = copied | on_their_way(tx, source)
    attempts = [attempt for attempt in long_outputs(new) if attempt not in left_out]
    if not copied:  # what an interrupted migration has copied may not be complete
        _remove_long_outputs(new)
    if new.distant:
        for job_id, attempt in attempts:
            send_output(job_id, attempt, source.pieces(job_id, attempt), new)
    else:
        copy_outputs(source.pieces, attempts, new.side_folder.path)
    copied.update(attempts)


def _remove_long_outputs(new: Store) -> None:
    if new.distant:
        remove_sent_outputs(new)
    else:
        shutil.rmtree(os.path.join(new.side_folder.path, "outputs"), ignore_errors=True)


def _refuse_running(source: Queue, tx: Reader) -> None:
    """Raise StillRunning if a worker or a job is running, according to the log."""
    if active := workers.active(tx):
        raise StillRunning(source.location.name, plural(len(active), "worker"))
    if running := counts.total(tx).states["processing"]:
        raise StillRunning(source.location.name, plural(running, "running job"))


def _drain(source: Queue) -> None:
    """Ask all workers to finish their jobs, and wait until all have ended.

    The jobs of dead workers are requeued.
    """
    from .worker.takeover import take_over

    with closing(Reading(source.location, source.store.key)) as reading:
        reading.listen()
        requested: set[str] = set()
        while active := _active(reading):
            if new := [worker.id for worker in active if worker.id not in requested]:
                source.send(*(RequestStop(worker_id=name, how="drain") for name in new))
                requested.update(new)
            for worker in active:
                take_over(source, worker, found_by=source.actor)
            if _active(reading):
                reading.await_more(CHECK_S)


def _active(reading: Reading) -> list[Worker]:
    with reading.read() as tx:
        return workers.active(tx)

"""The class Queue: the Python API. It is the only writer of a queue file."""

import os
import pwd
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self

from eventstore.errors import Incomplete, Moved
from eventstore.events.recorded import Recorded
from eventstore.location import Location, locate, open_store
from eventstore.store import PATIENCE_S, Ahead, Reader, Store
from projections.errors import StaleReadModels
from projections.folds.job import Job
from projections.read_models import jobs
from projections.registry import READ_CHECKPOINT, first_schema

from .core.clock import Clock, SystemClock
from .core.collector import collector_off
from .core.replay import replay
from .core.requests import AnyRequest, Cancel, NewJob, Retry
from .core.snapshot import Reading, refuse_unfit
from .core.transaction import Session, TransactionCache, queries_of_enqueue
from .errors import Closed, NoSuchJob, QueueError
from .input import arguments


class Queue:
    """A queue file, open for writing. It must not be shared between threads, or across a fork.

    path: the file, created if it is missing; by default the same as for the command line. actor:
    the name that is recorded with all events; `user@host` by default. on_wait: called with a
    message if another process holds a lock for longer than a second. Raises
    eventstore.errors.Unusable if the file cannot be used, and TransactionOpen if two threads use it
    at the same time or a `write` (or `read`) block contains another one.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        actor: str | None = None,
        clock: Clock | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self.location: Location = locate(arguments.path_from(path))
        self.actor = current_user() if actor is None else arguments.actor_from(actor)
        self.clock = clock or SystemClock()
        self.store: Store = open_store(
            self.location.place,
            create=True,
            schema=first_schema,
            on_wait=on_wait,
            wall_us=self.clock.wall_us,
        )
        self._reading = Reading(self.location, self.store.key)
        self._cache = TransactionCache()
        self._is_closed = False
        self._bring_up_to_date()

    def __enter__(self) -> Self:
        self._refuse_if_closed()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. All later calls, except another `close`, raise Closed."""
        self._is_closed = True
        self._reading.close()
        self.store.close()

    @contextmanager
    def write(self, actor: str | None = None, ahead: Ahead = tuple) -> Iterator[Session]:
        """Run one write transaction. When the block ends, commit it and notify the listeners.

        ahead: as for `read`. Raises the errors of Store.write.
        """
        with self.prepare(actor, ahead=ahead) as session:
            yield session
        session.commit()

    @contextmanager
    def prepare(
        self,
        actor: str | None = None,
        patience_s: float = PATIENCE_S,
        ahead: Ahead = tuple,
    ) -> Iterator[Session]:
        """Run one write transaction up to its commit, which the caller runs: `session.commit`.

        patience_s and the rules for the commit are those of Store.prepare; ahead as for `read`.
        """
        self._refuse_if_closed()
        with self.store.prepare(
            actor or self.actor, patience_s, lambda: (READ_CHECKPOINT, *ahead())
        ) as tx:
            refuse_unfit(tx, head=tx.last[0])
            if tx.moved:
                raise _moved(self.location.name, tx)
            session = Session(tx, self._cache)
            yield session
            session.finish()

    def read(self, ahead: Ahead = tuple) -> AbstractContextManager[Reader]:
        """Return a snapshot of the queue, for the queries of the read models.

        ahead: returns queries that will be needed; on a server they are run together.
        """
        self._refuse_if_closed()
        return self._reading.read(ahead)

    def send(self, *requests: AnyRequest) -> list[Any]:
        """Carry out the requests in one transaction; return the resulting job, worker or Config.

        Raises the first refusal; then nothing is written.
        """
        with self.write() as session:
            return [_or_raise(session.send(request)) for request in requests]

    def enqueue(self, command: str | Sequence[str], **options: Any) -> Job:
        """Accept one job and return it. Once this returns, the job is stored permanently.

        command: text for `sh -c`, or a list of arguments that is run without a shell. options: the
        keys of `queuectl enqueue`'s JSON (`queue="encodes"`, `delay="5m"`, `max_retries=2` …;
        durations in seconds or as text). Raises BadInput, or IdTaken if another job has the `id`.
        """
        from .input.job_spec import new_job

        key = "command" if isinstance(command, str) else "argv"
        new = new_job({key: command, **options}, self.clock.wall_us())
        with self.write(ahead=queries_of_enqueue) as session:
            job: Job = _or_raise(session.enqueue(new))
        return job

    def enqueue_many(self, jobs: Iterable[Mapping[str, Any] | NewJob]) -> list[str]:
        """Accept all these jobs in one transaction, or none; return their ids in the same order.

        jobs: dicts with the keys of `queuectl enqueue`'s JSON: `command` or `argv`, and options as
        for `enqueue`. Raises BadInput, which names the number of the job, or IdTaken.
        """
        now_us = self.clock.wall_us()
        listed = arguments.numbered_jobs(jobs)
        checked = [arguments.job_from(number, job, now_us) for number, job in listed]
        with collector_off(), self.write(ahead=queries_of_enqueue) as session:
            return [_or_raise(session.enqueue(new)).id for new in checked]

    def get(self, job_id: str) -> Job:
        """Return the current state of the job. Raises NoSuchJob."""
        job_id = arguments.id_from(job_id)
        with self.read() as tx:
            if (job := jobs.get(tx, job_id)) is None:
                raise NoSuchJob(job_id)
            return job

    def cancel(self, job_id: str, reason: str | None = None) -> Job:
        """Cancel a job: at once if it waits, through its worker if it is running.

        Raises NoSuchJob, or AlreadyFinal if the job is completed or dead.
        """
        reason = arguments.reason_from(reason)
        return self._change_job(Cancel(job_id=arguments.id_from(job_id), reason=reason))

    def retry(self, job_id: str, reason: str | None = None) -> Job:
        """Make a job pending at once that waits for a retry or a delay, or is dead.

        A dead job gets all its retries again. A pending job is not changed. Raises NotWaiting for
        other states, and NoSuchJob.
        """
        reason = arguments.reason_from(reason)
        return self._change_job(Retry(job_id=arguments.id_from(job_id), reason=reason))

    def wait(
        self, *job_ids: str, timeout_s: float | str | None = None, any_of: bool = False
    ) -> list[Job]:
        """Wait, without polling, until all of these jobs have ended (with `any_of`: one of them).

        timeout_s: seconds, or text such as `5m`; None waits without limit. Return the jobs in the
        given order; without ids, return an empty list at once. Raises NoSuchJob, TimedOut,
        WaitsForItself for the job that runs this program, and BadInput for `any_of` without ids,
        which would wait forever.
        """
        from .core.job_waiting import wait_for

        self._refuse_if_closed()
        ids = [arguments.id_from(job_id) for job_id in job_ids]
        limit_s = arguments.timeout_from(timeout_s)
        return wait_for(self._reading, ids, timeout_s=limit_s, any_of=any_of)

    def events(self, since: int = 0) -> Iterator[Recorded]:
        """Return an iterator over the events after position `since`, up to the end of the log.

        The events are in the order of the log.
        """
        self._refuse_if_closed()
        return self._events(arguments.position_from(since))

    def _events(self, after: int) -> Iterator[Recorded]:
        for recorded in self._reading.events(after=after):
            yield recorded
            self._refuse_if_closed()

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise Closed(self.location.name)

    def _change_job(self, request: AnyRequest) -> Job:
        """Send one request and return the job after it."""
        job = self.send(request)[0]
        assert isinstance(job, Job)
        return job

    def _bring_up_to_date(self) -> None:
        """Rebuild the read models if an older version has written them, or nothing says which."""
        try:
            with self.store.read() as tx:
                refuse_unfit(tx)
        except (StaleReadModels, Incomplete):
            replay(self.store)


def _or_raise(answer: Any) -> Any:
    if isinstance(answer, QueueError):
        raise answer
    return answer


def _moved(name: str, tx: Reader) -> Moved:
    """Return the error for a queue that has moved."""
    from projections.read_models.moves import move

    place = move(tx)
    assert place is not None
    return Moved(name, place.to)


def current_user() -> str:
    """Return `user@host`. The user is that of the process: the environment could be changed."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return f"{user}@{os.uname().nodename}"

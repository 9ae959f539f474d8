"""The errors of the queue, each with a message for the user."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from projections.folds.job import State

from .escape import quoted, visible

LISTED = 5
"""Largest number of ids in an error message."""


NO_WORDS: Mapping[str, str] = MappingProxyType({})


class QueueError(Exception):
    """Base class of all errors of this package.

    The message is one line: the problem, with the value that caused it, and what to do.
    """


class BadInput(QueueError):
    """The input is invalid in any state of the queue."""


class NoSuchTime(BadInput):
    """The machine's clock is out of the range of 64-bit nanoseconds."""

    def __init__(self) -> None:
        super().__init__("the clock of this machine is beyond the year 2262; correct it")


class UnknownWord(BadInput):
    """The word is not one of the known words.

    what: the kind of word, such as `state`. otherwise: what to do if no known word is similar.
    foreign_words: words of other programs, each with the known word of the same meaning.
    """

    def __init__(
        self,
        what: str,
        word: str,
        known: Iterable[str],
        otherwise: str,
        foreign_words: Mapping[str, str] = NO_WORDS,
    ) -> None:
        near = nearest(word, known, foreign_words)
        hint = f"did you mean {near}?" if near else otherwise
        super().__init__(f"unknown {what} {word!r:.100}; {hint}")
        self.word = word


def nearest(
    word: str, known: Iterable[str], foreign_words: Mapping[str, str] = NO_WORDS
) -> str | None:
    """Return the known word that a mistyped word probably means; None if unclear.

    foreign_words: words of other programs, each with the known word of the same meaning.
    """
    from difflib import get_close_matches

    plain = word[:100].lower()
    if plain in foreign_words:
        return foreign_words[plain]
    if similar := get_close_matches(plain, list(known), n=1):
        return similar[0]
    foreign = get_close_matches(plain, foreign_words, n=1, cutoff=0.8)
    return foreign_words[foreign[0]] if foreign else None


class NotFound(QueueError):
    """The named job or worker does not exist."""


class NoSuchJob(NotFound):
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {visible(job_id) or repr('')} not found; see queuectl list")
        self.job_id = job_id


class NoSuchWorker(NotFound):
    """No worker has this id or name."""

    def __init__(self, worker_id: str) -> None:
        super().__init__(f"worker {visible(worker_id)} not found; see queuectl worker list")
        self.worker_id = worker_id


class Refusal(QueueError):
    """The request is not possible in the current state; nothing was written."""


class IdTaken(Refusal):
    """Another job already has the id that the client chose.

    different: the fields of `enqueued` in which the two jobs differ.
    """

    def __init__(self, job_id: str, different: Iterable[str]) -> None:
        names = ", ".join(dict.fromkeys(_option_name(field) for field in different))
        super().__init__(
            f"ID {job_id} is already used by a different job (not the same: {names});"
            f" choose another, or see queuectl show {quoted(job_id)}"
        )
        self.job_id, self.names = job_id, names


def _option_name(field: str) -> str:
    """Return the name that users know for a field of `enqueued`."""
    words = {"due_at_us": "time", "delay_us": "time", "context": "directory or PATH"}
    return words.get(field) or field.removesuffix("_us").removesuffix("_bytes").replace("_", "-")


class NotPending(Refusal):
    """A job cannot be claimed because it is not pending."""

    def __init__(self, job_id: str, state: State) -> None:
        super().__init__(f"job {job_id} is {state}, not pending; another worker has claimed it")
        self.job_id, self.state = job_id, state


class NotDue(Refusal):
    """A job is not due: it does not wait for a time, or the time is in the future."""

    def __init__(self, job_id: str, state: State) -> None:
        super().__init__(
            f"job {job_id} is {state} and not due yet; see queuectl show {quoted(job_id)}"
        )
        self.job_id, self.state = job_id, state


class StaleAttempt(Refusal):
    """The attempt has ended already, or is considered lost."""

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(
            f"attempt {attempt} of job {job_id} is no longer running; its result was not recorded"
            f" (see queuectl history {quoted(job_id)})"
        )
        self.job_id, self.attempt = job_id, attempt


class NotDead(Refusal):
    """A job cannot be retried or discarded because it is not dead. verb: `retried`, `discarded`."""

    def __init__(self, job_id: str, state: State, verb: str) -> None:
        super().__init__(
            f"job {job_id} is {state}, not dead - only dead jobs can be {verb} (queuectl dlq list)"
        )
        self.job_id, self.state = job_id, state


class NotWaiting(Refusal):
    """A job cannot be retried because it neither waits for a time nor is dead."""

    def __init__(self, job_id: str, state: State) -> None:
        why = {
            "processing": "is already running",
            "completed": "has already completed",
            "cancelled": "was cancelled",
        }
        super().__init__(
            f"job {job_id} {why.get(state, state)}; only a job that waits for its time"
            " or is dead can be retried"
        )
        self.job_id, self.state = job_id, state


class AlreadyFinal(Refusal):
    """A job cannot be cancelled because it has ended."""

    def __init__(self, job_id: str, state: State) -> None:
        became = "has already completed" if state == "completed" else f"is already {state}"
        super().__init__(f"job {job_id} {became} and cannot be cancelled")
        self.job_id, self.state = job_id, state


class WorkerLives(Refusal):
    """The worker is alive on this machine."""

    def __init__(self, worker_id: str) -> None:
        todo = f"queuectl worker stop {worker_id}"
        super().__init__(f"worker {worker_id} is alive on this machine; stop it with {todo}")
        self.worker_id = worker_id


class WorkerEnded(Refusal):
    """The worker has stopped or was lost."""

    def __init__(self, worker_id: str, state: str) -> None:
        super().__init__(f"worker {worker_id} is already {state}; see queuectl worker list")
        self.worker_id, self.state = worker_id, state


class ReplayRunning(Refusal):
    """Another rebuild of the read models is running."""

    def __init__(self) -> None:
        super().__init__("another replay is running; try again when it has finished")


class MigrationRunning(Refusal):
    """Another migration from or into the same queue is running."""

    def __init__(self, name: str) -> None:
        super().__init__(f"another migration of {name} is running; wait until it has finished")


class NotMoved(Refusal):
    """The place of a queue that has not moved cannot be lost."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has not moved; leave out --lost")


class StillRunning(Refusal):
    """A queue cannot be moved while it has workers, or jobs that are running."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(
            f"{name} has {what}; first run: queuectl --db {quoted(name)} worker stop"
            " (or add --wait, which does that)"
        )


class ViewsDiffer(QueueError):
    """The views of a new queue are not what its log leads to."""

    def __init__(self, name: str, rows: int) -> None:
        super().__init__(
            f"the views of {name} differ from its log in {rows:,} rows, so it is not used;"
            " run queuectl migrate again"
        )


class Closed(Refusal):
    """The Queue object was closed, by `close` or at the end of its `with` block."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the queue {path} was closed; open it again with Queue({path!r})")
        self.path = path


class WaitsForItself(Refusal):
    """A job would wait for itself."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"job {job_id} runs this command and would wait for itself forever; "
            "wait for other jobs by their ids"
        )
        self.job_id = job_id


class NeverEmpty(Refusal):
    """A worker would wait for the end of the job that started it."""

    def __init__(self, job_id: str, queue: str) -> None:
        super().__init__(
            f"job {job_id} of queue {queue} runs this command, so the queue does not become empty; "
            "use --until-idle, or --queue with another queue"
        )
        self.job_id, self.queue = job_id, queue


class UnitDiffers(Refusal):
    """There is another unit file of this name."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} exists with other content; choose another --name, or replace it with --force"
        )


class UnitIsForeign(Refusal):
    """The unit file was not written by this program."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} was not written by queuectl; remove it yourself")


class UnitNotWritten(Refusal):
    """The unit file could not be read, written or removed."""

    def __init__(self, path: str, why: str, scope: str) -> None:
        todo = "; only root may change it: use sudo" if scope == "system" else ""
        super().__init__(f"{path}: {why}{todo}")


class NoService(NotFound):
    """There is no unit for the service."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"the service is not installed: there is no {path}; see queuectl service install"
        )


class ServiceRuns(Refusal):
    """The service must be stopped first. stop: the command line that does it."""

    def __init__(self, unit: str, state: str, stop: str) -> None:
        super().__init__(f"{unit} is {state}; stop it first: {stop}")


class TimedOut(QueueError):
    """Not all jobs that a caller waited for have ended before the timeout."""

    def __init__(
        self, waiting: Sequence[tuple[str, State]], timeout_s: float, in_words: str
    ) -> None:
        """waiting: ids and states of jobs that have not ended. in_words: the timeout, formatted."""
        if len(waiting) == 1:
            ((job_id, state),) = waiting
            still = f"job {job_id} is still {state}"
        else:
            ids = ", ".join(job_id for job_id, _ in waiting[:LISTED])
            more = ", …" if len(waiting) > LISTED else ""
            still = f"{len(waiting):,} jobs have not ended: {ids}{more}"
        super().__init__(f"timed out after {in_words}; {still}")
        self.timeout_s = timeout_s

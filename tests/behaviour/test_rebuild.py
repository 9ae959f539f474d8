"""Read models are rebuilt next to the live ones while other processes read and write."""

import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from eventstore.errors import ChainBroken, Incomplete
from projections import registry
from projections.errors import DamagedRow, NewerReadModels, StaleReadModels
from projections.read_models import counts, jobs, workers
from projections.rebuild import SLICE, Difference, compare, rebuild
from queuectl.api import Queue
from queuectl.core.replay import replay
from queuectl.core.requests import Claim, Finish, NewJob, Outcome, StartWorker
from queuectl.errors import ReplayRunning
from tests.given import worker_started
from tests.stranger import stranger, tamper


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "queue.db")


def filled(path: str, number: int = 3) -> Queue:
    """A queue with this many jobs, the first of them done."""
    queue = Queue(path)
    queue.enqueue_many(NewJob(command=f"echo {n}") for n in range(number))
    with queue.write("worker:a") as session:
        session.send(Claim(job_id="1", worker="a", slot=1, at_us=session.at_us))
        done = Outcome(ended="exit", exit_code=0)
        at_us = session.at_us
        session.send(Finish(job_id="1", attempt=1, outcome=done, jitter=0, at_us=at_us))
    return queue


def leftovers(path: str) -> set[str]:
    names = {name for (name,) in stranger(path, "SELECT name FROM sqlite_schema")}
    return {name for name in names if name.endswith(("_old", "_shadow"))}


@pytest.mark.parametrize(
    ("statement", "table", "key"),
    [
        ("UPDATE jobs SET state = 'dead' WHERE id = '2'", "jobs", (3,)),
        ("DELETE FROM jobs WHERE id = '3'", "jobs", (4,)),
        ("UPDATE counts SET pending = 7", "counts", ("default",)),
        ("DELETE FROM runs", "runs", (2, 1)),
        ("INSERT INTO settings VALUES ('jitter', 1, 1, 1, 'eve')", "settings", ("jitter",)),
        ("UPDATE sequence SET last = 1", "sequence", ("job",)),
        ("UPDATE checkpoint SET position = 1", "checkpoint", ()),
        ("DROP TABLE tags", "tags", ()),
        ("DROP TABLE checkpoint", "checkpoint", ()),
        ("DELETE FROM checkpoint", "checkpoint", ()),
    ],
)
def test_a_changed_row_is_found_and_repaired(
    path: str, statement: str, table: str, key: tuple[object, ...]
) -> None:
    queue = filled(path)
    stranger(path, statement)
    (difference,) = compare(queue.store)
    assert (difference.table, difference.key) == (table, key)
    replay(queue.store)
    assert compare(queue.store) == []
    queue.close()


def test_a_computed_column_that_was_replaced_is_found(path: str) -> None:
    queue = filled(path)
    stranger(
        path,
        "ALTER TABLE jobs DROP COLUMN command",
        "ALTER TABLE jobs ADD COLUMN command TEXT",
        "UPDATE jobs SET command = 'other' WHERE id = '2'",
    )
    assert [difference.key for difference in compare(queue.store)] == [(2,), (3,), (4,)]
    replay(queue.store)
    assert compare(queue.store) == []
    queue.close()


def test_a_difference_has_both_rows(path: str) -> None:
    queue = filled(path)
    stranger(path, "UPDATE counts SET failed = 9")
    (difference,) = compare(queue.store)
    assert isinstance(difference, Difference)
    assert difference.live is not None
    assert difference.rebuilt is not None
    assert (difference.live[4], difference.rebuilt[4]) == (9, 0)
    queue.close()


WRITER = """
import select, sys
from projections.read_models import ready
from queuectl.api import Queue

queue, written = Queue(sys.argv[1]), []
while not select.select([sys.stdin], [], [], 0)[0]:
    written.append(queue.enqueue("true").id)
    with queue.read() as tx:
        assert [job.id for job in ready.next_ready(tx, (), 1)] == ["2"]
    if len(written) == 1:
        print("writing", flush=True)
print(len(written), written[-1])
"""


def test_writers_and_readers_continue_during_a_rebuild(path: str) -> None:
    """The writer is a separate process: threads do not wait for SQLite's locks in turn."""
    queue = filled(path, number=SLICE * 5)
    with Popen([sys.executable, "-c", WRITER, path], stdin=PIPE, stdout=PIPE, text=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        totals: list[int] = []
        for _ in range(3):
            replay(queue.store, lambda _, total: totals.append(total))
        writer.stdin.close()
        number, last = writer.stdout.read().split()
    assert writer.returncode == 0
    assert totals[-1] > totals[0]
    assert compare(queue.store) == []
    with queue.read() as tx:
        assert counts.total(tx).total_jobs == SLICE * 5 + int(number)
        assert jobs.get(tx, last) is not None
    assert leftovers(path) == set()
    queue.close()


class Crash(Exception):
    """Simulates the death of the process between two transactions."""


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 7])
def test_after_a_crash_the_old_or_the_new_tables_are_used(
    path: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for amount in ("SLICE_ALONE", "DROPPED", "EMPTIED"):
        monkeypatch.setattr(f"projections.rebuild.{amount}", SLICE // 5)
    queue = filled(path, number=SLICE)
    steps = 0

    def crash(_: str) -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            raise Crash

    with pytest.raises(Crash):
        rebuild(queue.store, pause=crash)
    assert compare(queue.store) == []
    assert queue.enqueue("true").state == "pending"
    replay(queue.store)
    assert compare(queue.store) == []
    assert leftovers(path) == set()
    queue.close()


def test_a_large_table_without_its_key_is_replaced(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.rebuild.DROPPED", 1)
    queue = filled(path)
    stranger(path, "ALTER TABLE jobs RENAME COLUMN born TO place")
    replay(queue.store)
    assert compare(queue.store) == []
    assert leftovers(path) == set()
    queue.close()


def test_one_rebuild_at_a_time(path: str) -> None:
    queue = filled(path)
    lock = queue.store.lock("replay")
    assert lock.acquire()
    with pytest.raises(ReplayRunning):
        replay(queue.store)
    lock.release()
    assert replay(queue.store) == queue.store.head().position
    queue.close()


def test_first_writer_of_a_new_version_rebuilds(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path).close()
    newer = registry.DEFINITION.replace("jobs=", "jobs=9")
    monkeypatch.setattr("projections.registry.DEFINITION", newer)
    monkeypatch.setattr("projections.rebuild.DEFINITION", newer)
    from queuectl.core.snapshot import Reading

    queue = Queue(path)
    with Reading(queue.location).read() as tx:
        checkpoint = registry.checkpoint(tx)
    assert (checkpoint.definition, checkpoint.generation) == (newer, 2)
    assert compare(queue.store) == []
    queue.close()


def test_reader_of_a_new_version_says_what_to_do(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = filled(path)
    older = registry.DEFINITION
    monkeypatch.setattr("projections.registry.DEFINITION", older.replace("jobs=", "jobs=9"))
    with pytest.raises(StaleReadModels, match="run queuectl replay"), queue.read():
        pass
    queue.close()


def test_older_version_refuses_to_write(path: str) -> None:
    queue = filled(path)
    stranger(path, f"UPDATE checkpoint SET definition = '{registry.DEFINITION} weather=1'")
    head = queue.store.head()
    with pytest.raises(NewerReadModels, match="upgrade queuectl"):
        queue.enqueue("true")
    assert queue.store.head() == head
    queue.close()


def test_rebuild_stops_at_a_record_that_was_changed(path: str) -> None:
    queue = filled(path)
    changed = "UPDATE events SET data = replace(data, 'echo 1', 'echo 9') WHERE position = 3"
    tamper(path, changed)
    for look in (compare, replay):
        with pytest.raises(ChainBroken, match="damaged at position 3"):
            look(queue.store)
    with queue.read() as tx:
        assert counts.total(tx).total_jobs == 3
    queue.close()


def test_reader_of_a_file_without_a_table_says_what_to_do(path: str) -> None:
    queue = filled(path)
    stranger(path, "DROP TABLE counts")
    with pytest.raises(Incomplete, match=r"no such table: counts.*queuectl replay"):
        by_state(queue)
    replay(queue.store)
    assert by_state(queue).total_jobs == 3
    queue.close()


def test_a_missing_checkpoint_is_repaired_when_the_queue_is_opened(path: str) -> None:
    """Again and again: the new indexes have other names than the existing ones."""
    filled(path).close()
    for statement in ("DROP TABLE checkpoint", "DELETE FROM checkpoint", "DROP TABLE checkpoint"):
        stranger(path, statement)
        with Queue(path) as queue:
            assert compare(queue.store) == []


def by_state(queue: Queue) -> counts.Counts:
    with queue.read() as tx:
        return counts.total(tx)


def test_an_invalid_row_is_refused_and_repaired(path: str) -> None:
    queue = filled(path)
    queue.send(StartWorker(worker_id="3f", started=worker_started()))
    queue.close()
    stranger(path, "UPDATE jobs SET spec = '[]'", "UPDATE workers SET started = '{'")
    queue = Queue(path)
    with pytest.raises(DamagedRow, match=r"the view jobs has a damaged row \(job 1\)"):
        queue.get("1")
    with (
        queue.read() as tx,
        pytest.raises(DamagedRow, match=r"the view workers has a damaged row \(worker 3f\)"),
    ):
        workers.get(tx, "3f")
    rebuild(queue.store)
    assert queue.get("1").spec.command == "echo 0"
    queue.close()

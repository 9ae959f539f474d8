"""`migrate` moves a queue between a file and a server; `backup` of a server makes a queue file."""

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from signal import SIGINT, SIGKILL

import pytest

from eventstore.errors import Moved, NotEmpty, Unfinished
from eventstore.location import create_on_server, locate, open_store
from eventstore.store import OnProgress
from projections.rebuild import compare
from projections.registry import first_schema
from queuectl import migrate as migrating
from queuectl.api import Queue
from queuectl.errors import MigrationRunning, StillRunning
from queuectl.migrate import Migrated, migrate
from tests.ctl import Ctl
from tests.stores import ON_A_SERVER

pytestmark = ON_A_SERVER


@pytest.fixture(autouse=True)
def home(tmp_path: Path, ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's folders of queues on servers in the folder of the test."""
    ctl.env["XDG_STATE_HOME"] = str(tmp_path / "state")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("eventstore.copying.PAGE", 12)


@pytest.fixture
def server(url: str) -> str:
    """The address of a new queue on a server."""
    create_on_server(url, first_schema)
    return url


@pytest.fixture
def filled(ctl: Ctl) -> Ctl:
    """A queue file whose jobs have ended in several ways, with short and with long output."""
    ctl("enqueue", "--", "echo short")
    ctl("enqueue", "--", "seq 100000")
    ctl.enqueue("exit 3", max_retries=1, backoff_base=0.01, tags={"a": "é"})
    ctl.drain()
    ctl("enqueue", "--delay", "1h", "--", "echo later")
    ctl("config", "set", "jitter", "0.5")
    return ctl


def head(ctl: Ctl, place: str) -> str:
    return ctl("verify", "--db", place).out.split()[-1]


def check(ctl: Ctl, place: str, expected: str) -> None:
    """The queue contains the head, its views match the log, and all outputs are there."""
    ctl("verify", "--outputs", "--expect", expected, "--db", place)
    ctl("replay", "--check", "--db", place)
    assert ctl("logs", "1", "--db", place).out == "short\n"
    assert ctl("logs", "2", "--db", place).out.endswith("\n100000\n")


def test_queue_moves_to_a_server_and_back(filled: Ctl, server: str) -> None:
    before = head(filled, str(filled.db))
    done = filled("migrate", str(filled.db), server)
    events = before.partition(":")[0]
    assert done.out == f"{events} events, head {before} the same in both\n"
    check(filled, server, before)
    check(filled, str(filled.db), before)
    assert head(filled, server) == before
    assert "has moved to postgresql://" in filled("enqueue", "--", "true", code=6).err
    assert "has moved to postgresql://" in filled("worker", "start", code=6).err
    filled("enqueue", "--db", server, "--", "true")
    filled("worker", "start", "--until-idle", "--db", server)

    assert "not empty" in filled("migrate", server, str(filled.db), code=4).err
    before = head(filled, server)
    back = str(filled.folder / "back.db")
    moved = filled("migrate", server, back, "--json").json
    assert f"{moved['position']}:{moved['head_hash']}" == before
    assert (moved["target"], moved["problems"]) == (back, [])
    check(filled, back, before)
    filled("enqueue", "--db", back, "--", "true")
    assert f"has moved to {back}" in filled("enqueue", "--db", server, "--", "true", code=6).err
    assert not list(filled.folder.glob("*.migrating*"))


def test_backup_of_a_server_is_a_queue_file(filled: Ctl, server: str) -> None:
    filled("migrate", str(filled.db), server)
    filled("enqueue", "--db", server, "--", "true")
    copy = str(filled.folder / "copy.db")
    expected = filled("backup", "--db", server, copy).out.strip()
    assert expected == head(filled, server)
    check(filled, copy, expected)
    restored = str(filled.folder / "restored.db")
    filled("restore", "--db", restored, copy)
    filled("enqueue", "--db", restored, "--", "true")
    assert "migrate" in filled("restore", "--db", server, copy, code=6).err


def test_queue_with_workers_is_moved_only_when_they_have_stopped(ctl: Ctl, server: str) -> None:
    job = ctl.enqueue("until [ -e go ]; do sleep 0.01; done; echo done")
    with ctl.worker() as worker:
        ctl.wait_for(job, "claimed")
        refused = ctl("migrate", str(ctl.db), server, code=4).err
        assert f"has 1 worker; first run: queuectl --db {ctl.db} worker stop" in refused
        with ctl.running("migrate", "--wait", str(ctl.db), server) as moving:
            with ctl.running("events", "--since", "@0", "-f") as feed:
                feed.says("stop-requested")
            (ctl.folder / "go").touch()
            assert moving.ends().code == 0
        assert worker.ends().code == 0
    assert ctl("logs", job, "--db", server).out == "done\n"


def place(server: str, tmp_path: Path, to: str) -> str:
    return server if to == "server" else str(tmp_path / "new.db")


SERVER_FIRST = pytest.mark.parametrize(
    "to", ["server", pytest.param("file", marks=pytest.mark.proof)]
)


class Interrupted(Exception):
    """Simulates the end of the process."""


def interrupted_at(step: int, source: Queue, target: str) -> Migrated | None:
    """Migrate; end at the given report of progress. None if it has ended there."""
    reports = 0

    def report(*_: int) -> None:
        nonlocal reports
        reports += 1
        if reports == step:
            raise Interrupted

    @contextmanager
    def showing(_: str) -> Iterator[OnProgress]:
        report()
        yield report
        report()

    try:
        return migrate(source, locate(target), showing=showing)
    except Interrupted:
        return None


@SERVER_FIRST
def test_migration_that_was_interrupted_anywhere_is_continued(
    filled: Ctl, server: str, tmp_path: Path, to: str
) -> None:
    """Until the log has moved, the old queue is in use; no incomplete queue is ever used."""
    target = place(server, tmp_path, to)
    step, moved = 0, None
    with Queue(filled.db) as source:
        while moved is None:
            step += 1
            moved = interrupted_at(step, source, target)
            if moved is None and to == "server":
                with pytest.raises(Unfinished, match="run queuectl migrate again"):
                    open_store(target)
            elif moved is None:
                assert not Path(target).exists()
            try:
                source.enqueue("true")
            except Moved:
                with source.read() as tx:
                    assert tx.newest("$log", 1)[0].position == source.store.head().position
        assert step >= 7
        last = f"{moved.head.position}:{moved.head.hash}"
        assert source.store.head().position == moved.head.position + 1
        assert migrate(source, locate(target)) == moved
    assert head(filled, target) == last
    check(filled, target, last)


def test_no_job_that_was_accepted_is_lost_by_a_move(filled: Ctl, server: str) -> None:
    accepted: list[str] = []
    refused: list[Moved] = []

    def enqueue() -> None:
        with Queue(filled.db) as queue:
            while not refused:
                try:
                    accepted.append(queue.enqueue("true").id)
                except Moved as error:
                    refused.append(error)

    client = threading.Thread(target=enqueue)
    with Queue(filled.db) as source:
        client.start()
        while len(accepted) < 5:
            time.sleep(0.01)
        moved = migrate(source, locate(server))
        client.join()
    with closing(open_store(server)) as store:
        with store.read() as tx:
            assert {*accepted} <= {event.stream for event in tx.events()}
        assert store.head() == moved.head
        assert compare(store) == []


def test_places_that_are_not_empty_are_refused(filled: Ctl, server: str, tmp_path: Path) -> None:
    with Queue(filled.db) as source:
        for existing in ("a.db", "b.db.d"):
            (tmp_path / existing).mkdir()
            with pytest.raises(NotEmpty, match=f"{existing} is not empty"):
                migrate(source, locate(str(tmp_path / existing.removesuffix(".d"))))
        with Queue(server) as other:
            other.enqueue("true")
        with pytest.raises(NotEmpty):
            migrate(source, locate(server))
        assert source.enqueue("true").state == "pending"
    assert "no queue at postgresql" in filled("migrate", str(filled.db), f"{server}x", code=6).err


def test_queue_moves_only_once_at_a_time(filled: Ctl, server: str, tmp_path: Path) -> None:
    with Queue(filled.db) as source, Queue(filled.db) as other:
        with other.store.alone("migrate"), pytest.raises(MigrationRunning):
            migrate(source, locate(server))
        migrate(source, locate(server))
        with pytest.raises(Moved, match="has moved to postgresql"):
            migrate(source, locate(str(tmp_path / "c.db")))


def test_worker_that_starts_during_the_copy_is_noticed(
    ctl: Ctl, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ctl.enqueue("sleep 100")
    monkeypatch.setattr(migrating, "catch_up", lambda *_: None)
    with Queue(ctl.db) as source:

        @contextmanager
        def showing(step: str) -> Iterator[OnProgress]:
            if step == "building views":
                stack.append(ctl.start("worker", "start"))
                ctl.wait_for(job, "claimed")
            yield lambda _, __: None

        stack: list[object] = []
        try:
            with pytest.raises(StillRunning, match="has 1 worker"):
                migrate(source, locate(server), showing=showing)
        finally:
            for worker in stack:
                worker.end()  # type: ignore[attr-defined]
        assert source.enqueue("true").state == "pending"


def test_migration_that_was_killed_creating_the_file_leaves_one_name(
    filled: Ctl, server: str
) -> None:
    filled("migrate", str(filled.db), server)
    target = filled.folder / "back.db"
    building = f"{target}.migrating"
    with Queue(building):
        pass
    os.link(building, f"{building}.0123456789ab.new")  # as between the link and its removal
    filled("migrate", server, str(target))
    filled("verify", "--db", str(target))
    assert not list(filled.folder.glob("*.new"))


def test_migration_that_ended_between_both_names_goes_on(
    filled: Ctl, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder has the new name already, its file has not."""
    filled("migrate", str(filled.db), server)
    target = filled.folder / "back.db"
    with Queue(server) as source:
        with monkeypatch.context() as ended:
            ended.setattr("eventstore.new_place.rename_new", lambda *_: sys.exit())
            with pytest.raises(SystemExit):
                migrate(source, locate(str(target)))
        assert not target.exists()
        last = migrate(source, locate(str(target))).head
    check(filled, str(target), f"{last.position}:{last.hash}")
    assert not list(filled.folder.glob("*.migrating*"))


def test_folder_of_another_queue_is_not_taken_for_an_interrupted_migration(
    filled: Ctl, server: str
) -> None:
    filled("migrate", str(filled.db), server)
    target = filled.folder / "back.db"
    with Queue(f"{target}.migrating") as other:
        other.enqueue("true")
    Path(f"{target}.d").mkdir()
    assert f"{target}.d is not empty" in filled("migrate", server, str(target), code=4).err
    assert not target.exists()


def kill_and_go_on(ctl: Ctl, target: str, seed: str) -> str:
    """Kill migrations at random moments until one completes; return the head of the new queue.

    Before the move the old queue is in use, and afterwards the same command completes it.
    """
    chance = random.Random(seed)
    for kills in range(60):
        moving = ctl.start("migrate", str(ctl.db), target)
        time.sleep(chance.uniform(0.05, 0.3 + 0.1 * kills))
        moving.kill(SIGKILL)
        if (code := moving.ends().code) == 0:
            break
        assert code == -SIGKILL, moving.err
        has_moved = "log-moved" in ctl("events", "--stream", "$log").out
        ctl("enqueue", "--", "true", code=6 if has_moved else 0)
        if not has_moved:
            assert not Path(target).exists()
    else:
        ctl("migrate", str(ctl.db), target)
    last = head(ctl, target)
    check(ctl, target, last)
    ctl("verify", "--expect", last)
    return last


def test_backup_with_running_jobs_moves_to_a_server(filled: Ctl, server: str) -> None:
    """Their worker does not exist there: they are requeued."""
    job = filled.enqueue("sleep 100")
    copy = str(filled.folder / "copy.db")
    with filled.worker():
        filled.wait_for(job, "claimed")
        filled("backup", copy)
    assert "has 1 worker" in filled("migrate", copy, server, code=4).err
    filled("migrate", "--wait", copy, server)
    assert filled("list", "--state", "pending", "--db", server).jobs == [job]
    check(filled, server, head(filled, server))


def test_queue_whose_new_place_is_lost_is_copied_as_it_was(filled: Ctl, server: str) -> None:
    last = head(filled, str(filled.db))
    third = str(filled.folder / "third.db")
    assert "has not moved" in filled("migrate", "--lost", str(filled.db), third, code=4).err
    filled("migrate", str(filled.db), server)
    filled("migrate", str(filled.db), third, code=6)
    done = filled("migrate", "--lost", str(filled.db), third)
    assert done.out.endswith(f"head {last} the same in both\n")
    check(filled, third, last)
    filled("enqueue", "--db", third, "--", "true")
    filled("enqueue", "--", "true", code=6)


@pytest.mark.proof
def test_queue_moves_between_two_places_of_a_kind(filled: Ctl, server: str, url: str) -> None:
    last = head(filled, str(filled.db))
    second, other = str(filled.folder / "second.db"), f"{url}-other"
    create_on_server(other, first_schema)
    for source, target in ((str(filled.db), second), (second, server), (server, other)):
        filled("migrate", source, target)
        check(filled, target, last)


@pytest.mark.proof
def test_interrupted_by_a_person_it_says_how_to_go_on(filled: Ctl, server: str) -> None:
    job = filled.enqueue("until [ -e go ]; do sleep 0.01; done")
    with filled.worker() as worker:
        filled.wait_for(job, "claimed")
        with filled.running("migrate", "--wait", str(filled.db), server) as moving:
            with filled.running("events", "--since", "@0", "-f") as feed:
                feed.says("stop-requested")
            moving.kill(SIGINT)
            assert moving.ends().code == 130
            assert moving.err == ["interrupted; the same command continues"]
        (filled.folder / "go").touch()
        worker.ends()
    filled("migrate", str(filled.db), server)


@SERVER_FIRST
def test_killed_at_a_random_moment_it_goes_on(
    filled: Ctl, server: str, tmp_path: Path, to: str
) -> None:
    assert kill_and_go_on(filled, place(server, tmp_path, to), to)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(4))
def test_large_queue_moves_there_and_back_under_kills(
    filled: Ctl, server: str, tmp_path: Path, seed: int
) -> None:
    jobs = "".join(
        f'{{"command": "echo {number}", "tags": {{"n": "1"}}}}\n' for number in range(9_000)
    )
    filled("enqueue", "--file", "-", stdin=jobs)
    there = kill_and_go_on(filled, server, f"there {seed}")
    back = Ctl(tmp_path)
    back.env.update(filled.env, QUEUECTL_DB=server)
    back.db = server  # type: ignore[assignment]
    assert kill_and_go_on(back, str(tmp_path / "back.db"), f"back {seed}")
    filled("verify", "--db", str(tmp_path / "back.db"), "--expect", there)

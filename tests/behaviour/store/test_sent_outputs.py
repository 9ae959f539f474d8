"""The output of an attempt on another machine is read from the server."""

import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from eventstore.events.job import Claimed, Enqueued, Succeeded
from eventstore.output_files import Piece
from eventstore.store import Store
from queuectl.outputs import arrival
from queuectl.outputs.arrival import on_their_way
from queuectl.outputs.check import check_outputs
from tests.stores import ON_A_SERVER, open_on_server

pytestmark = [ON_A_SERVER, pytest.mark.usefixtures("fast")]

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)
CLAIMED = Claimed(attempt=1, worker="3f", slot=1)

SOON_S = 10.0


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    porter = pytest.importorskip("eventstore.postgres.porter")
    monkeypatch.setattr(porter, "ROUND_S", 0.02)
    monkeypatch.setattr(porter, "PAUSES_S", (0.02,))


@pytest.fixture
def elsewhere(store: Store, url: str, tmp_path: Path) -> Iterator[Store]:
    """The same queue, opened on another machine: with another folder for files."""
    opened = open_on_server(url, readonly=True, folder=str(tmp_path / "elsewhere.d"))
    yield opened
    opened.close()


def soon(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def text(pieces: Iterator[Piece]) -> bytes:
    return b"".join(piece.data for piece in pieces)


def output(store: Store) -> bytes:
    return text(store.pieces("1", 1))


def lines(count: int) -> bytes:
    return b"".join(b"%9d\n" % number for number in range(count))


def test_output_arrives_while_the_attempt_runs(store: Store, elsewhere: Store) -> None:
    files = store.output_files("1", 1, 1_000)
    files.write(0, b"first\n")
    soon(lambda: output(elsewhere) == b"first\n")
    files.write(6, b"second\n")
    soon(lambda: output(elsewhere) == b"first\nsecond\n")
    assert text(elsewhere.pieces("1", 1, 8)) == b"cond\n"
    assert not elsewhere.writes_here("1", 1)
    assert store.writes_here("1", 1)
    assert not elsewhere.has_all("1", 1, 13)
    files.close()
    soon(lambda: elsewhere.has_all("1", 1, 13))
    assert not elsewhere.has_all("1", 1, 14)


def test_pieces_are_read_in_a_transaction_too(store: Store, elsewhere: Store) -> None:
    store.output_files("1", 1, 1_000).write(0, b"first\n")
    soon(lambda: output(elsewhere))
    with elsewhere.read():
        assert output(elsewhere) == b"first\n"


def test_output_that_is_stored_with_the_result_is_deleted(store: Store, elsewhere: Store) -> None:
    files = store.output_files("1", 1, 1_000)
    files.write(0, b"first\n")
    soon(lambda: output(elsewhere))
    files.remove()
    files.close()
    soon(lambda: not output(elsewhere))


def test_later_output_is_sent_only_to_followers_and_at_the_end(
    store: Store, elsewhere: Store
) -> None:
    printed = lines(100)
    files = store.output_files("1", 1, 400)
    for offset in range(0, 600, 10):
        files.write(offset, printed[offset : offset + 10])
    soon(lambda: output(elsewhere) == printed[:200])
    time.sleep(0.1)
    assert output(elsewhere) == printed[:200]
    elsewhere.follow_output("1", 1)
    soon(lambda: output(elsewhere) == printed[:200] + printed[400:600])
    files.write(600, printed[600:610])
    soon(lambda: output(elsewhere).endswith(printed[600:610]))


def test_what_was_kept_is_sent_at_the_end(store: Store, elsewhere: Store) -> None:
    files = store.output_files("1", 1, 400)
    files.write(0, lines(100))
    soon(lambda: output(elsewhere))
    files.close()
    soon(lambda: elsewhere.has_all("1", 1, files.size))
    assert output(elsewhere) == output(store)
    assert list(elsewhere.pieces("1", 1))[1].missing_bytes == 600


def test_followed_output_takes_no_more_room_than_is_kept(store: Store, elsewhere: Store) -> None:
    printed = lines(1_000)
    files = store.output_files("1", 1, 400)
    elsewhere.follow_output("1", 1)
    for offset in range(0, len(printed), 10):
        files.write(offset, printed[offset : offset + 10])
        time.sleep(0.0002)
    files.close()
    soon(lambda: elsewhere.has_all("1", 1, files.size))
    assert sha256(output(elsewhere)).hexdigest() == files.digest
    last = list(elsewhere.pieces("1", 1))[-1]
    assert (last.end, output(elsewhere)) == (len(printed), output(store))


def test_end_of_the_worker_sends_what_was_kept(
    opened: Callable[..., Store], store: Store, elsewhere: Store
) -> None:
    worker = opened()
    worker.output_files("1", 1, 40_000_000).write(0, lines(300_000))
    worker.close()
    assert output(elsewhere) == lines(300_000)


def test_output_is_sent_again_after_the_connection_was_lost(
    store: Store, elsewhere: Store, url: str
) -> None:
    import psycopg

    from eventstore.postgres.address import address_from

    printed = lines(400)
    files = store.output_files("1", 1, 100_000)
    with psycopg.connect(address_from(url).url, autocommit=True) as owner:
        for offset in range(0, len(printed), 10):
            files.write(offset, printed[offset : offset + 10])
            if offset % 500 == 0:
                owner.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'queuectl porter'"
                )
                time.sleep(0.01)
    files.close()
    soon(lambda: output(elsewhere) == printed)


def test_outputs_of_other_machines_are_verified(store: Store, elsewhere: Store) -> None:
    files = store.output_files("1", 1, 400)
    files.write(0, lines(10))
    files.close()
    with store.write("anna@box") as tx:
        tx.append("1", 0, [JOB, CLAIMED])
        digest, size = files.digest, files.size
        ended = Succeeded(attempt=1, output_bytes=size, kept_bytes=size, output_sha256=digest)
        tx.append("1", 2, [ended])
        tx.keep_output("1", 1, size, None)
    soon(lambda: elsewhere.has_all("1", 1, size))
    with elsewhere.read() as tx:
        assert list(check_outputs(tx, elsewhere.pieces)) == []
        assert on_their_way(tx, elsewhere) == set()
    with store.write("anna@box") as tx:
        tx.execute("UPDATE output_chunks SET data = CAST('changed' AS BYTEA)")
    with elsewhere.read() as tx:
        assert [problem.kind for problem in check_outputs(tx, elsewhere.pieces)] == ["changed"]


def test_output_on_its_way_is_missing_and_not_changed(
    store: Store, elsewhere: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "ARRIVAL_S", 0.1)
    with store.write("anna@box") as tx:
        tx.append("1", 0, [JOB, CLAIMED])
        ended = Succeeded(attempt=1, output_bytes=9, kept_bytes=9, output_sha256="ab" * 32)
        tx.append("1", 2, [ended])
        tx.keep_output("1", 1, 9, None)
        tx.execute("INSERT INTO output_chunks VALUES ('1', 1, 0, CAST('a part' AS BYTEA))")
    with elsewhere.read() as tx:
        problems = check_outputs(tx, elsewhere.pieces, has_all=elsewhere.has_all)
        assert [problem.kind for problem in problems] == ["missing"]
        assert on_their_way(tx, elsewhere) == {("1", 1)}


def test_outputs_that_cannot_be_sent_are_reported_once(opened: Callable[..., Store]) -> None:
    said: list[str] = []
    worker = opened(create=True, on_wait=said.append)
    with worker.write("anna@box") as tx:
        tx.execute("ALTER TABLE output_chunks RENAME TO moved")
    worker.output_files("1", 1, 1_000).write(0, b"first\n")
    soon(lambda: said)
    time.sleep(0.2)
    assert len(said) == 1
    assert said[0].startswith("outputs are not sent to the server (")
    with worker.write("anna@box") as tx:
        tx.execute("ALTER TABLE moved RENAME TO output_chunks")

"""Power cuts at every write of the real code: no acknowledged event is lost, no file is broken.

Each image is opened by the SQLite of the standard library, and some by the program as well.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from tempfile import TemporaryDirectory
from typing import NamedTuple

from eventstore.errors import StoreError
from eventstore.location import open_store
from eventstore.store import Store
from eventstore.verify import verify
from projections.rebuild import compare
from queuectl.api import Queue
from tests.torture.power_images import Image, Power
from tests.torture.power_life import EVENTS, VIEWS, Life, live
from tests.torture.proof import Proof, Tally

SHARED_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""A folder in memory, where an image does not wait for a disk."""

WAYS = 3
"""Images per moment, if several are possible."""

MOMENTS = 0.25
"""The part of a life's moments at which the power is cut, so that there are more lives."""

PROGRAM_EVERY = 20
"""How often the program opens an image, rebuilds its views and continues it: that takes 5 ms."""

ENDINGS = ("", "-wal", "-shm", "-journal")


class Loss(Exception):
    """An image lacks data, or has data that it should not have."""


class Plan(NamedTuple):
    """The settings of a life, and how its images are opened."""

    pragmas: tuple[str, ...] = ()
    """Run in every connection that writes."""
    program_every: int | None = PROGRAM_EVERY


USUAL = Plan()


def cut(amount: int, seed: int, plan: Plan = USUAL) -> Tally:
    """Check so many images, of as many lives as needed."""
    findings: list[str] = []
    done = lives = opened = 0
    with TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        while done < amount:
            lives += 1
            name = f"{seed}/{lives}"
            for image, life in _images_of(folder, name, plan):
                by_program = plan.program_every is not None and done % plan.program_every == 0
                findings += _check(folder, name, image, life, by_program)
                done, opened = done + 1, opened + by_program
                if done == amount:
                    break
    return Tally(done, findings, f"of {lives} lives; {opened:,} images continued by the program")


def _images_of(folder: str, name: str, plan: Plan) -> Iterator[tuple[Image, Life]]:
    home = os.path.join(folder, "life")
    os.mkdir(home)
    life = live(home, name, *plan.pragmas)
    shutil.rmtree(home)
    paths = [life.path + ending for ending in ENDINGS]
    for image in Power(name, paths).images(life.done, WAYS, MOMENTS):
        if image.files or image.acknowledged:
            yield image, life


def _check(folder: str, name: str, image: Image, life: Life, by_program: bool) -> Iterator[str]:
    """Yield the findings of an image, one line each."""
    checks: list[tuple[str, Callable[[str, Image, Life], None]]] = [("stdlib", _by_stdlib)]
    if by_program:
        checks.append(("program", _by_program))
    for who, check in checks:
        # Each check has its own files: two SQLites in one process must not share a file.
        with _written(os.path.join(folder, who), image, life) as path:
            try:
                check(path, image, life)
            except (Loss, sqlite3.Error, StoreError) as error:
                yield f"life {name}, cut {image.cut}, way {image.way}, {who}: {error!r}"


@contextmanager
def _written(folder: str, image: Image, life: Life) -> Iterator[str]:
    """Write the files of an image into a folder; yield the path of the queue file."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, "queue.db")
    for ending in ENDINGS:
        if (content := image.files.get(life.path + ending)) is not None:
            with open(os.open(path + ending, os.O_CREAT | os.O_WRONLY, 0o600), "wb", 0) as file:
                file.write(content)
    try:
        yield path
    finally:
        for ending in ENDINGS:
            if os.path.exists(path + ending):
                os.unlink(path + ending)


def _by_stdlib(path: str, image: Image, life: Life) -> None:
    """Check that the log equals the recorded one up to a commit, and the other tables as well."""
    if not os.path.exists(path):
        raise Loss(f"there is no file, and {image.acknowledged} was acknowledged")
    with closing(sqlite3.connect(path)) as database:
        # With this mode the index of the WAL stays in memory, and no locks are taken.
        database.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        database.execute("BEGIN")
        events = database.execute(EVENTS).fetchall()
        position = len(events)
        if position < image.acknowledged:
            raise Loss(f"the log ends at {position}, and {image.acknowledged} was acknowledged")
        if events != life.events[:position]:
            raise Loss("the log is not what was recorded")
        if (views := life.views.get(position)) is None:
            raise Loss(f"the log ends in the midst of a commit, at {position}")
        for table, rows in views.items():
            if database.execute(VIEWS[table]).fetchall() != rows:
                raise Loss(f"{table} is not what it was at {position}")
        if (answer := database.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            raise Loss(f"integrity_check: {answer}")


def _by_program(path: str, image: Image, life: Life) -> None:
    """Check that the next command works, and that log and views are sound before and after it."""
    with closing(open_store(path, readonly=True)) as reader:
        before = _verified(reader)
    if before < image.acknowledged:
        raise Loss(f"the log ends at {before}, and {image.acknowledged} was acknowledged")
    with Queue(path) as queue:
        _refuse_drift(queue)
        queue.enqueue("true")
        if _verified(queue.store) <= before:
            raise Loss("a new job is not there")
        _refuse_drift(queue)
    shutil.rmtree(f"{path}.d", ignore_errors=True)


def _verified(store: Store) -> int:
    """Return the last position of a sound log. Raises Loss."""
    with store.read() as tx:
        verdict = verify(tx)
    if not verdict.sound:
        raise Loss(f"verify: {verdict.broken} {verdict.missing_guards}")
    return verdict.head.position


def _refuse_drift(queue: Queue) -> None:
    if differences := compare(queue.store):
        raise Loss(f"a rebuild differs: {differences[0]}")


def controls(mode: str, amount: int, seed: int = 0) -> Tally:
    """Run the same lives with `synchronous` at NORMAL or OFF, which must lose data."""
    return cut(amount, seed, Plan((f"PRAGMA synchronous={mode}",), program_every=None))


POWER = Proof(
    name="power",
    guarantee="A power cut at any moment loses no acknowledged event and damages no file",
    unit="images",
    in_test=500,
    in_prove=10_000,
    in_torture=500_000,
    run=cut,
)

"""Power cuts at every write of the real code: what was acknowledged is there, and all is whole.

Each image is opened by the stdlib's SQLite, which knows nothing of us; some also by ourselves.
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
from eventstore.sqlite.log import SqliteStore
from eventstore.sqlite.verify import verify
from projections.rebuild import compare
from queuectl.api import Queue
from tests.torture.power_images import Image, Power
from tests.torture.power_life import EVENTS, VIEWS, Life, live
from tests.torture.proof import Proof, Tally

SHARED_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Where an image costs no disk."""

WAYS = 3
"""Images of one moment, where several are possible."""

MOMENTS = 0.25
"""The part of a life's moments to cut the power at: so that there are more lives."""

OURS_EVERY = 20
"""To open an image by ourselves, rebuild its views beside and go on with it takes 5 ms."""

ENDINGS = ("", "-wal", "-shm", "-journal")


class Loss(Exception):
    """What an image has lost, or holds that it should not."""


class Plan(NamedTuple):
    """How a life is lived, and by whom its images are opened."""

    pragmas: tuple[str, ...] = ()
    """Planted in every connection that writes."""
    ours_every: int | None = OURS_EVERY


USUAL = Plan()


def cut(amount: int, seed: int, plan: Plan = USUAL) -> Tally:
    """Look at so many images, of as many lives as that takes."""
    found: list[str] = []
    done = lives = ours = 0
    with TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        while done < amount:
            lives += 1
            name = f"{seed}/{lives}"
            for image, life in _images_of(folder, name, plan):
                by_us = plan.ours_every is not None and done % plan.ours_every == 0
                found += _looked_at(folder, name, image, life, by_us)
                done, ours = done + 1, ours + by_us
                if done == amount:
                    break
    return Tally(done, found, f"of {lives} lives; {ours:,} images opened and gone on with by us")


def _images_of(folder: str, name: str, plan: Plan) -> Iterator[tuple[Image, Life]]:
    home = os.path.join(folder, "life")
    os.mkdir(home)
    life = live(home, name, *plan.pragmas)
    shutil.rmtree(home)
    wanted = [life.path + ending for ending in ENDINGS]
    for image in Power(name, wanted).images(life.done, WAYS, MOMENTS):
        if image.files or image.acknowledged:
            yield image, life


def _looked_at(folder: str, name: str, image: Image, life: Life, by_us: bool) -> Iterator[str]:
    """What is wrong with an image, a line each."""
    looks: list[tuple[str, Callable[[str, Image, Life], None]]] = [("stranger", _by_stranger)]
    if by_us:
        looks.append(("ours", _by_us))
    for who, look in looks:
        # Each has files of its own: within a process, two SQLites must not share one.
        with _laid_out(os.path.join(folder, who), image, life) as path:
            try:
                look(path, image, life)
            except (Loss, sqlite3.Error, StoreError) as error:
                yield f"life {name}, cut {image.cut}, way {image.way}, {who}: {error!r}"


@contextmanager
def _laid_out(folder: str, image: Image, life: Life) -> Iterator[str]:
    """The files of an image, in a folder of their own."""
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


def _by_stranger(path: str, image: Image, life: Life) -> None:
    """The log is what was recorded, up to a commit; every other table is what it was then."""
    if not os.path.exists(path):
        raise Loss(f"there is no file, and {image.acknowledged} was acknowledged")
    with closing(sqlite3.connect(path)) as database:
        # So the index of the WAL stays in memory, and nobody is asked for locks.
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
        if (told := database.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            raise Loss(f"integrity_check: {told}")


def _by_us(path: str, image: Image, life: Life) -> None:
    """The next command works at once, and log and views are whole before it and after."""
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


def _verified(store: SqliteStore) -> int:
    """The last position of a log that is sound."""
    with store.read() as tx:
        verdict = verify(tx)
    if not verdict.sound:
        raise Loss(f"verify: {verdict.broken} {verdict.missing_triggers}")
    return verdict.head.position


def _refuse_drift(queue: Queue) -> None:
    if different := compare(queue.store):
        raise Loss(f"a rebuild differs: {different[0]}")


def controls(mode: str, amount: int, seed: int = 0) -> Tally:
    """The same lives with `synchronous` at NORMAL or OFF: these must lose something."""
    return cut(amount, seed, Plan((f"PRAGMA synchronous={mode}",), ours_every=None))


POWER = Proof(
    name="power",
    promise="A power cut at any moment loses nothing acknowledged and leaves a whole file",
    unit="images",
    in_test=500,
    in_prove=10_000,
    in_torture=500_000,
    run=cut,
)

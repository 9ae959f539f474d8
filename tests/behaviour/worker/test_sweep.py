"""Finding and ending marked processes, with real ones."""

import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from queuectl.worker.mark import VARIABLE, Mark, mark_of
from queuectl.worker.sweep import RLIMIT_RTTIME, bearers, end, send, survivors
from tests.ctl import until
from tests.shapes import SHAPES, complete, in_folder

TOKEN = uuid4().hex  # tests run side by side, and none may end another's
QUEUE = (1, 2)


@contextmanager
def running(shape: str, folder: Path, mark: Mark, traces: str = "both") -> Iterator[list[int]]:
    """A job of that shape that bears `mark`, by the limit, the cookie or both."""

    def limit() -> None:
        if traces != "cookie":
            resource.setrlimit(RLIMIT_RTTIME, (mark.limit, resource.RLIM_INFINITY))

    cookie = {} if traces == "limit" else {VARIABLE: mark.cookie}
    process = subprocess.Popen(
        ["sh", "-c", SHAPES[shape]],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **cookie},
        preexec_fn=limit,
        start_new_session=True,
    )
    try:
        yield until(lambda: complete(shape, folder), "the whole job")
    finally:
        end([mark])
        process.kill()
        process.wait()


@pytest.mark.parametrize("shape", SHAPES)
def test_all_of_a_marked_job_is_found_and_ended(shape: str, tmp_path: Path) -> None:
    mark = mark_of(QUEUE, TOKEN, "1", 1)
    with running(shape, tmp_path, mark) as pids:
        assert set(survivors([mark])) >= set(pids)
        assert end([mark])
        assert in_folder(tmp_path) == []


@pytest.mark.parametrize("traces", ["limit", "cookie"])
def test_one_trace_is_enough(traces: str, tmp_path: Path) -> None:
    mark = mark_of(QUEUE, TOKEN, "1", 1)
    with running("tree", tmp_path, mark, traces) as pids:
        assert set(survivors([mark])) >= set(pids)


@pytest.mark.parametrize(
    "near",
    [
        ((1, 3), TOKEN, "1", 1),
        (QUEUE, "other", "1", 1),
        (QUEUE, TOKEN, "11", 1),
        (QUEUE, TOKEN, "1", 2),
    ],
)
def test_mark_that_differs_in_one_thing_is_left_alone(
    near: tuple[tuple[int, int], str, str, int], tmp_path: Path
) -> None:
    with running("tree", tmp_path, mark_of(QUEUE, TOKEN, "1", 1)) as pids:
        assert end([mark_of(*near)])
        assert complete("tree", tmp_path) == pids


def test_several_marks_are_ended_in_one_sweep(tmp_path: Path) -> None:
    marks = [mark_of(QUEUE, TOKEN, str(job), 1) for job in (1, 2)]
    folders = [tmp_path / "1", tmp_path / "2"]
    for folder in folders:
        folder.mkdir()
    with running("plain", folders[0], marks[0]), running("deaf", folders[1], marks[1]):
        assert end(marks)
        assert [in_folder(folder) for folder in folders] == [[], []]


def test_signal_reaches_each_process_once(tmp_path: Path) -> None:
    mark = mark_of(QUEUE, TOKEN, "1", 1)
    with running("plain", tmp_path, mark) as pids:
        assert set(send([mark], signal.SIGTERM)) >= set(pids)
        until(lambda: not survivors([mark]) or None, "the job's end")


def test_bearers_are_told_apart_among_given_processes(tmp_path: Path) -> None:
    mark = mark_of(QUEUE, TOKEN, "1", 1)
    with running("plain", tmp_path, mark) as pids:
        assert bearers([*pids, 1, 2**22 + 1], [mark]) == pids

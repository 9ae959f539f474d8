"""Finding and killing marked processes, with real ones."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from queuectl.worker.process_mark import VARIABLE, Mark, mark_of
from queuectl.worker.process_sweep import RLIMIT_RTTIME, alive, bearers, kill_all, send, survivors
from tests.ctl import DEADLINE_S, until
from tests.machine import needs_another_user
from tests.sampling import first_of
from tests.shapes import SHAPES, complete, in_folder

TOKEN = uuid4().hex  # tests run in parallel, and must not kill the processes of others
QUEUE = "1:2"
WITHIN_S = 60.0


@contextmanager
def running(shape: str, folder: Path, mark: Mark, traces: str = "both") -> Iterator[list[int]]:
    """Run a job of that shape with `mark`, by the limit, the cookie or both."""

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
        kill_all([mark])
        process.kill()
        process.wait()


@pytest.mark.parametrize("shape", SHAPES)
def test_all_processes_of_a_marked_job_are_found_and_killed(shape: str, tmp_path: Path) -> None:
    mark = mark_of(QUEUE, TOKEN, "1", 1)
    with running(shape, tmp_path, mark) as pids:
        until(lambda: set(survivors([mark])) >= set(pids) or None, "all processes to be found")
        assert kill_all([mark], WITHIN_S)
        assert in_folder(tmp_path) == []


@pytest.mark.parametrize("traces", ["limit", "cookie"])
def test_limit_or_cookie_alone_is_enough(traces: str, tmp_path: Path) -> None:
    mark = mark_of(QUEUE, TOKEN, "1", 1)
    with running("tree", tmp_path, mark, traces) as pids:
        # A process that is about to execute its program shows no environment for a moment.
        until(lambda: set(survivors([mark])) >= set(pids) or None, "all processes to be found")


@pytest.mark.parametrize(
    "near",
    [
        ("1:3", TOKEN, "1", 1),
        (QUEUE, "other", "1", 1),
        (QUEUE, TOKEN, "11", 1),
        (QUEUE, TOKEN, "1", 2),
    ],
)
def test_processes_with_a_similar_mark_are_not_killed(
    near: tuple[str, str, str, int], tmp_path: Path
) -> None:
    with running("tree", tmp_path, mark_of(QUEUE, TOKEN, "1", 1)) as pids:
        assert kill_all([mark_of(*near)], WITHIN_S)
        assert complete("tree", tmp_path) == pids


def test_several_marks_are_killed_in_one_sweep(tmp_path: Path) -> None:
    marks = [mark_of(QUEUE, TOKEN, str(job), 1) for job in (1, 2)]
    folders = [tmp_path / "1", tmp_path / "2"]
    for folder in folders:
        folder.mkdir()
    with running("plain", folders[0], marks[0]), running("deaf", folders[1], marks[1]):
        assert kill_all(marks, WITHIN_S)
        assert [in_folder(folder) for folder in folders] == [[], []]


def test_signal_reaches_each_process_once(tmp_path: Path) -> None:
    mark = mark_of(QUEUE, TOKEN, "1", 1)
    with running("plain", tmp_path, mark) as pids:
        assert set(send([mark], signal.SIGTERM)) >= set(pids)
        until(lambda: not survivors([mark]) or None, "the job's end")


def test_bearers_of_a_mark_are_selected_from_given_processes(tmp_path: Path) -> None:
    mark = mark_of(QUEUE, TOKEN, "1", 1)
    with running("plain", tmp_path, mark) as pids:
        assert bearers([*pids, 1, 2**22 + 1], [mark]) == pids


def run_in(folder: Path, mark: Mark, *argv: str) -> "subprocess.Popen[bytes]":
    """Run a program with the limit of the mark and without a cookie."""
    return subprocess.Popen(
        argv,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        preexec_fn=lambda: resource.setrlimit(RLIMIT_RTTIME, (mark.limit, resource.RLIM_INFINITY)),
        start_new_session=True,
    )


LEADER_GONE = """
import ctypes, pathlib, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
pathlib.Path("up").touch()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.mark.parametrize("traces", ["limit", "cookie"])
def test_process_whose_first_thread_has_ended_is_alive(traces: str, tmp_path: Path) -> None:
    mark = mark_of(QUEUE, TOKEN, "1", 1)
    cookie = f"{VARIABLE}={mark.cookie}" if traces == "cookie" else "A=B"
    limit = mark if traces == "limit" else mark_of(QUEUE, TOKEN, "2", 1)
    process = run_in(tmp_path, limit, "env", cookie, sys.executable, "-c", LEADER_GONE)
    try:
        until(lambda: _state(process.pid) == "Z" or None, "the end of its first thread")
        assert alive(process.pid)
        assert survivors([mark]) == [process.pid]
        assert kill_all([mark], WITHIN_S)
        assert process.wait(DEADLINE_S) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


CHAIN = """
import os
beat = os.open("beat", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for _ in range(30_000):
    os.write(beat, b"!")
    if os.fork():
        os._exit(0)
"""


@pytest.mark.parametrize("number", first_of(range(5)))
def test_chain_of_fast_forks_is_killed(number: int, tmp_path: Path) -> None:
    mark = mark_of(QUEUE, TOKEN, str(number), 1)
    beat = tmp_path / "beat"
    chain = run_in(tmp_path, mark, sys.executable, "-S", "-E", "-c", CHAIN)
    try:
        until(lambda: (beat.exists() and beat.stat().st_size > 50) or None, "the chain")
        chain.wait()
        assert kill_all([mark], WITHIN_S)
        length = beat.stat().st_size
        with pytest.raises(AssertionError):
            until(lambda: beat.stat().st_size > length or None, "another fork", deadline_s=0.3)
    finally:
        with suppress(ProcessLookupError):  # a remaining chain would keep the machine busy
            os.killpg(chain.pid, signal.SIGKILL)


SWEEP = """
import sys
from queuectl.worker.process_mark import Mark
from queuectl.worker.process_sweep import kill_all, survivors
mark = Mark(sys.argv[1], int(sys.argv[2]))
print(survivors([mark]), kill_all([mark]))
"""


@needs_another_user
def test_process_of_another_user_is_found_without_the_right_to_set_its_limits(
    tmp_path: Path,
) -> None:
    """A root worker in a container often has no CAP_SYS_RESOURCE."""
    mark = mark_of(QUEUE, TOKEN, "1", 1)
    other = ("setpriv", "--reuid", "64321", "--clear-groups", "sleep", "60")
    process = run_in(tmp_path, mark, *other)
    without = ("--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource")
    try:
        until(lambda: os.stat(f"/proc/{process.pid}").st_uid == 64_321 or None, "the other user")
        done = subprocess.run(
            ["setpriv", *without, sys.executable, "-c", SWEEP, mark.cookie, str(mark.limit)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[3],
        )
        assert done.stdout == f"[{process.pid}] True\n"
        assert process.wait(DEADLINE_S) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()

"""Many processes on one queue file: none of them fails with "database is locked"."""

import json
from contextlib import ExitStack

import pytest

from tests.ctl import Ctl, Result, Running

ENQUEUER = """
import sys
from queuectl.api import Queue
with Queue() as queue:
    for number in range(int(sys.argv[1])):
        queue.enqueue("echo $QUEUECTL_JOB >> ran")
"""
ENQUEUERS, WORKERS, JOBS_EACH = 32, 8, 20


@pytest.mark.proof
def test_32_enqueuers_and_8_workers_all_succeed_at_once(ctl: Ctl) -> None:
    ctl("enqueue", "--", "true")
    with ExitStack() as ending:
        workers = [ctl.start("worker", "start", "--count", "2") for _ in range(WORKERS)]
        for worker in workers:
            ending.callback(worker.end)
        enqueuers = [ctl.start_python(ENQUEUER, str(JOBS_EACH)) for _ in range(ENQUEUERS)]
        assert [enqueuer.ends(600) for enqueuer in enqueuers] == [Result(0, "", "")] * ENQUEUERS
        ctl.drain()
        results = [_stopped(worker) for worker in workers]
    assert [code for code, _ in results] == [0] * WORKERS
    assert not [err for _, err in results if "error" in err]
    jobs = ENQUEUERS * JOBS_EACH
    ran = (ctl.folder / "ran").read_text().split()
    assert sorted(map(int, ran)) == list(range(2, jobs + 2))
    counts = json.loads(ctl("status", "--json").out)["counts"]
    assert counts["completed"] == jobs + 1
    ctl("verify")
    ctl("replay", "--check")


def _stopped(worker: Running) -> tuple[int, str]:
    worker.kill()
    result = worker.ends()
    return result.code, result.err

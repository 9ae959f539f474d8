"""Workers die at random moments: no job is lost, run twice or in parallel, or left running."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ctl import until
from tests.mutants.__main__ import copy_with
from tests.mutants.faults import Edit, Fault
from tests.shapes import in_folder
from tests.torture.kills import KILLS, RECLAIMS, Round
from tests.torture.proof import amount, assert_holds

CARELESS = Fault(
    "neither the keeper nor a takeover ends the remaining processes",
    (
        Edit("queuectl/worker/keeper.py", "        end_children(kept_limit)\n", ""),
        Edit(
            "queuectl/worker/takeover.py",
            "        if not process_sweep.kill_all(marks):\n",
            "        if False:\n",
        ),
    ),
    (),
)
DAWDLING = Fault(
    "a keeper that takes its time",
    (
        Edit(
            "queuectl/worker/keeper.py",
            "        restarts.append(time.monotonic())\n",
            "        restarts.append(time.monotonic())\n        time.sleep(5)\n",
        ),
    ),
    (),
)


@pytest.mark.sampled
@pytest.mark.parametrize("part", [0, 1])
def test_killed_workers_break_no_guarantee(part: int) -> None:
    rounds = amount(KILLS) // 2
    tally = KILLS.run(rounds, part * rounds)
    assert tally.done == rounds
    assert not tally.findings, "\n".join(tally.findings)


@pytest.mark.sampled
def test_job_of_a_killed_supervisor_is_claimed_again_at_once() -> None:
    assert_holds(RECLAIMS)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("proof", "amount", "fault", "finding"),
    [("kills", 6, CARELESS, ": overlap "), ("reclaims", 1, DAWDLING, "reclaims: ")],
)
def test_kill_rounds_find_a_planted_fault(
    tmp_path: Path, proof: str, amount: int, fault: Fault, finding: str
) -> None:
    """The controls: the same rounds with a program in which a fault was planted."""
    copy_with(fault, tmp_path)
    findings = ""
    for seed in range(0, 5 * amount, amount):  # on a slow machine a job may end before it overlaps
        words = ["--only", proof, "--amount", str(amount), "--seed", str(seed)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.torture", *words],
            cwd=tmp_path,
            env={name: os.environ[name] for name in os.environ if not name.startswith("COVERAGE_")},
            capture_output=True,
            text=True,
            check=False,
        )
        findings += done.stderr
        if finding in done.stderr:
            break
    assert finding in findings
    assert done.returncode == 1, findings


def test_judge_reports_each_broken_guarantee(tmp_path: Path) -> None:
    """The control of the judge: a round in which every guarantee is broken."""
    played = Round(tmp_path, 0)
    waiting = played.live_queue.enqueue("true")
    done = played.live_queue.enqueue("true")
    played.acknowledged = ["never enqueued", waiting, done]
    with played.live_queue.worker("--queue", "other") as worker:
        played.live_queue.supervisor(worker)
        (played.live_queue.work / "overlaps").write_text(f"{done} 2\n")
        left = subprocess.Popen(["sleep", "60"], cwd=played.live_queue.work)
        try:
            until(lambda: in_folder(played.live_queue.work) or None, "the leftover process")
            findings = " ".join(played.judge())
        finally:
            left.kill()
            left.wait()
    played.live_queue.queue.close()
    for broken in (
        "lost never enqueued",
        f"stuck {waiting}: pending",
        f"overlap {done} 2",
        f"survivor {left.pid}",
        "held worker-",
        "bell ",
    ):
        assert broken in findings

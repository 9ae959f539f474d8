"""The commands of the original task, as printed there, with their output lines."""

import json
import signal

import pytest

from tests.ctl import Ctl

JOB_VS1 = """{
  "command": "echo hello from vscode",
  "max_retries": 2
}
"""

STATUS = """Job counts by state:
  pending: 0
  processing: 0
  completed: 2
  failed: 0
  dead: 1
Metrics summary:
  total_jobs: 3
  success_runs: 2
  failed_runs: 1
"""


def test_a_job_is_enqueued_from_a_file(ctl: Ctl) -> None:
    (ctl.folder / "job_vs1.json").write_text(JOB_VS1)
    job = ctl("enqueue", "--file", "job_vs1.json").out.strip()
    shown = ctl.show(job)
    assert (shown["command"], shown["max_retries"]) == ("echo hello from vscode", 2)


def test_a_job_is_enqueued_inline(ctl: Ctl) -> None:
    job = ctl("enqueue", '{"command": "echo Hello"}').out.strip()
    assert ctl.show(job)["command"] == "echo Hello"


def test_a_worker_finishes_its_job_after_ctrl_c(ctl: Ctl) -> None:
    job = ctl.enqueue("until test -e go; do sleep 0.01; done")
    with ctl.worker("--count", "1") as worker:
        ctl.wait_for(job, "claimed")
        worker.kill(signal.SIGINT)
        worker.says("Finishing 1 job")
        (ctl.folder / "go").touch()
        assert worker.ends().code == 0
    assert ctl.show(job)["state"] == "completed"


def test_status_has_the_required_lines(ctl: Ctl) -> None:
    ctl.enqueue("true")
    ctl.enqueue("true")
    ctl.enqueue("invalid_command", max_retries=0)
    ctl.drain()
    assert ctl("status").out.startswith(STATUS)


@pytest.mark.parametrize("state", ["pending", "completed", "failed", "dead"])
def test_jobs_are_listed_by_state(ctl: Ctl, state: str) -> None:
    jobs = {"completed": ctl.enqueue("true"), "dead": ctl.enqueue("false", max_retries=0)}
    jobs["failed"] = ctl.enqueue("exit 3", backoff_base=1000)
    with ctl.worker():
        ctl.wait_for(jobs["failed"], "scheduled-retry")
        ctl("wait", jobs["completed"], jobs["dead"], code=1)
    jobs["pending"] = ctl.enqueue("true")
    assert ctl("list", "--state", state).jobs == [jobs[state]]


def test_a_failed_job_goes_to_the_dead_letter_queue_and_back(ctl: Ctl) -> None:
    spec = {"command": "invalid_command", "max_retries": 2, "backoff_base": 0.1}
    job = ctl("enqueue", json.dumps(spec)).out.strip()
    ctl.drain()
    assert ctl("dlq", "list").jobs == [job]
    assert ctl.event_types(job).count("failed") == 3
    ctl("dlq", "retry", job)
    assert ctl("list", "--state", "pending").jobs == [job]
    assert ctl("dlq", "list").jobs == []


def test_settings_are_set_and_read(ctl: Ctl) -> None:
    assert ctl("config", "get", "max-retries").out == "3\n"
    ctl("config", "set", "max-retries", "5")
    assert ctl("config", "get", "max-retries").out == "5\n"
    assert ctl.show(ctl.enqueue("true"))["max_retries"] == 5


def test_retries_back_off_exponentially(ctl: Ctl) -> None:
    job = ctl.enqueue("false", max_retries=3, backoff_base=0.5)
    ctl.drain()
    delays = [e["data"]["delay_us"] for e in ctl.history(job) if e["type"] == "scheduled-retry"]
    assert delays == [500_000, 250_000, 125_000]


def test_states_are_kept_over_a_restart(ctl: Ctl) -> None:
    ctl.enqueue("true")
    ctl.drain()
    before = ctl("status").out
    assert ctl("status").out == before
    assert "  completed: 1\n" in before


def test_the_dashboard_shows_counts_and_jobs(ctl: Ctl) -> None:
    from urllib.request import urlopen

    job = ctl.enqueue("echo shown on the page")
    with ctl.running("dashboard", "--port", "0") as dashboard:
        address = dashboard.says("http://").split(" at ")[1].split()[0]
        page = urlopen(address).read().decode()
        listed = urlopen(f"{address}jobs").read().decode()
    assert "pending" in page
    assert "echo shown on the page" in listed
    assert f"/jobs/{job}" in listed

"""`worker start` that exits by itself: when, what it prints, and with which exit code."""

from tests.behaviour.test_pipes import QUEUECTL
from tests.behaviour.test_wait import HERE
from tests.ctl import Ctl


def test_a_delayed_job_and_a_retry_that_is_not_due_do_not_keep_an_idle_worker(ctl: Ctl) -> None:
    ctl.enqueue("true", delay="1d")
    ctl.enqueue("false", backoff_base=900)
    ctl.enqueue("true")
    done = ctl("worker", "start", "--until-idle")
    assert "Idle: 1 completed; no other job can run now." in done.err
    assert [ctl.show(job)["state"] for job in "123"] == ["scheduled", "failed", "completed"]
    assert "until-idle" in ctl("worker", "list", "--all").out


def test_a_retry_that_is_due_at_once_is_run_before_leaving(ctl: Ctl) -> None:
    job = ctl.enqueue("test $QUEUECTL_ATTEMPT = 2", backoff_base=0)
    ctl("worker", "start", "--until-idle")
    assert ctl.show(job)["state"] == "completed"


def test_a_job_of_another_worker_keeps_no_idle_worker(ctl: Ctl) -> None:
    job = ctl.enqueue("sleep 60")
    with ctl.worker():
        ctl.wait_for(job, "claimed")
        assert "Idle: no job can run now." in ctl("worker", "start", "--until-idle").err
        assert ctl.show(job)["state"] == "processing"
        ctl("cancel", job)


def test_a_quiet_worker_says_nothing_unless_a_job_dies(ctl: Ctl) -> None:
    ctl.enqueue("true")
    ctl.enqueue("test $QUEUECTL_ATTEMPT = 2", backoff_base=0)
    quiet = ("worker", "start", "--until-empty", "--quiet", "--fail-on-dead")
    done = ctl(*quiet)
    assert (done.out, done.err) == ("", "")
    ctl.enqueue("exit 3", max_retries=0)
    done = ctl(*quiet, code=1)
    assert done.out == ""
    assert done.err.startswith("job 3 (exit 3) dead: exit 3 after ")
    assert done.err.count("\n") == 1


def test_a_job_that_kills_its_worker_counts_as_died(ctl: Ctl) -> None:
    ctl.enqueue("kill -9 $PPID")
    done = ctl("worker", "start", "--until-idle", "--quiet", "--fail-on-dead", code=1)
    assert "job 1 (kill -9 $PPID) dead: its worker was lost three times in a row; see" in done.err


def test_a_job_that_died_before_the_supervisor_was_killed_counts_as_died(ctl: Ctl) -> None:
    died = ctl.enqueue("exit 3", max_retries=0)
    killer = ctl.enqueue(
        "until test -e go; do sleep 0.01; done; test $QUEUECTL_ATTEMPT = 2 || kill -9 $PPID"
    )
    with ctl.worker("--until-empty", "--quiet", "--fail-on-dead") as worker:
        ctl.wait_for(died, "dead")
        (ctl.folder / "go").touch()
        assert worker.ends().code == 1
    assert ctl.show(killer)["state"] == "completed"


def test_dead_jobs_change_the_exit_code_only_if_asked(ctl: Ctl) -> None:
    ctl.enqueue("exit 3", max_retries=0)
    assert ctl("worker", "start", "--until-empty").code == 0
    assert ctl("worker", "start", "--until-empty", "--fail-on-dead").code == 0


def test_a_queue_that_never_had_a_job_is_named(ctl: Ctl) -> None:
    ctl.enqueue("true", queue="encodes")
    for words in (["--until-empty"], ["--until-idle", "--quiet"]):
        printed = ctl("worker", "start", "--queue", "encode", *words).err
        assert "No job was ever enqueued to queue encode; did you mean encodes?" in printed
    assert "No job was ever" not in ctl.drain("--queue", "encodes").err


def test_options_that_contradict_each_other_are_refused(ctl: Ctl) -> None:
    assert "not both" in ctl("worker", "start", "--until-empty", "--until-idle", code=2).err
    assert "not both" in ctl("worker", "start", "--quiet", "--verbose", code=2).err


def test_a_job_does_not_wait_for_its_own_queue_to_be_empty(ctl: Ctl) -> None:
    env = {"PYTHONPATH": HERE}
    ctl.enqueue(f"{QUEUECTL} worker start --until-empty", env=env, max_retries=0)
    ctl.enqueue(f"{QUEUECTL} worker start --until-empty --queue other", env=env)
    ctl.enqueue("true", queue="other")
    ctl.drain()
    assert ctl.show("1")["exit_code"] == 4
    assert "use --until-idle" in ctl("logs", "1").out
    assert ctl.show("2")["state"] == "completed"


def test_a_job_that_stops_its_own_worker_does_not_wait_for_it(ctl: Ctl) -> None:
    job = ctl.enqueue(f"{QUEUECTL} worker stop", env={"PYTHONPATH": HERE})
    with ctl.worker() as worker:
        assert worker.ends().code == 0
    assert ctl.show(job)["state"] == "completed"
    assert f"runs this command, in job {job}" in ctl("logs", job).out

"""`dlq` as typed."""

from tests.ctl import Ctl


def test_a_dead_job_can_be_retried(ctl: Ctl) -> None:
    job = ctl.dead_job()
    assert ctl("dlq", "list").lines[0].split("\t")[:3] == [job, "1", "exit 3"]
    assert ctl("dlq", "retry", job, "--reason", "fixed").lines == [f"{job}\tpending"]
    assert ctl.history(job)[-1]["data"] == {"why": "dlq", "reason": "fixed"}
    assert ctl("dlq", "list").lines == []


def test_a_retried_job_has_a_fresh_budget(ctl: Ctl) -> None:
    job = ctl.enqueue(f"test -e {ctl.folder}/ready", max_retries=1, backoff_base=0)
    ctl.drain()
    ctl("dlq", "retry", job)
    (ctl.folder / "ready").touch()
    ctl.drain()
    shown = ctl.show(job)
    assert (shown["state"], shown["attempt"]) == ("completed", 3)


def test_only_dead_jobs_can_be_retried(ctl: Ctl) -> None:
    dead, waits = ctl.dead_job(), ctl.enqueue("true")
    refused = ctl("dlq", "retry", dead, waits, code=4)
    assert refused.err == (
        f"error: job {waits} is pending, not dead - only dead jobs can be retried"
        " (queuectl dlq list)\n"
    )
    assert ctl.show(dead)["state"] == "dead"


def test_all_dead_jobs_are_retried_together(ctl: Ctl) -> None:
    ctl(
        "enqueue",
        '[{"command": "false", "max_retries": 0}, {"command": "exit 2", "max_retries": 0}]',
    )
    ctl.enqueue("true", delay="1h")
    with ctl.worker():
        ctl("wait", "1-2", code=1)
    assert ctl("dlq", "retry", "--all").jobs == ["1", "2"]
    assert ctl("dlq", "retry", "--all").jobs == []


def test_a_dead_job_is_shown(ctl: Ctl) -> None:
    job = ctl.dead_job()
    assert ctl("dlq", "show", job, "--json").json["job"]["state"] == "dead"
    assert [row["id"] for row in ctl("dlq", "list", "--json").json["jobs"]] == [job]


def test_the_cause_that_a_list_shows_selects_the_job(ctl: Ctl) -> None:
    ctl("enqueue", "--max-retries", "0", "--", "no-such-program", "x")
    ctl.drain()
    shown = ctl("dlq", "list").lines[0].split("\t")[2]
    assert ctl("dlq", "list", "--cause", shown).jobs == ["1"]
    assert ctl("list", "--cause", "not-found").jobs == ["1"]
    assert ctl("dlq", "retry", "--cause", shown).jobs == ["1"]


def test_an_unknown_cause_is_refused(ctl: Ctl) -> None:
    ctl.dead_job()
    refused = ctl("dlq", "retry", "--cause", "exit3", code=2)
    assert refused.err == "error: unknown cause 'exit3'; did you mean 'exit 3'?\n"
    for command in ("list", "dlq list", "dlq discard", "retry", "cancel"):
        assert "unknown cause ''" in ctl(*command.split(), "--cause", "", code=2).err


def test_last_and_ranges_are_among_the_dead_jobs(ctl: Ctl) -> None:
    job = ctl.dead_job()
    ctl("enqueue", "--", "true")
    ctl.drain()
    assert ctl("dlq", "show", "last", "--json").json["job"]["id"] == job
    assert ctl("dlq", "retry", "last").jobs == [job]
    ctl.drain()
    assert ctl("dlq", "retry", "1-2").jobs == [job]
    ctl.drain()
    assert ctl("dlq", "discard", "last", "--reason", "source file is gone").jobs == [job]
    assert ctl("dlq", "discard", "last", code=3).err == "error: there are no dead jobs\n"
    nothing = ctl("dlq", "retry", "1-2", code=3)
    assert nothing.err == "error: no dead jobs from 1 to 2; see queuectl dlq list\n"
    assert ctl("show", "last", "--json").json["job"]["id"] == "2"

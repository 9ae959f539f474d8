"""`list`, `show`, `wait` and `cancel` as typed."""

import json
import signal

import pytest

from tests.behaviour.test_terminal import screen
from tests.ctl import Ctl


def test_lists_come_newest_first_a_page_at_a_time(ctl: Ctl) -> None:
    ctl("enqueue", json.dumps([{"command": f"echo {n}"} for n in range(5)]))
    first = ctl("list", "--limit", "2", "--json").json
    assert [job["id"] for job in first["jobs"]] == ["5", "4"]
    assert ctl("list", "--limit", "2", "--after", first["next"]).jobs == ["3", "2"]
    assert ctl("list", "--all").jobs == ["5", "4", "3", "2", "1"]
    assert [json.loads(line)["id"] for line in ctl("list", "--jsonl").lines] == list("54321")


def test_lists_are_filtered(ctl: Ctl) -> None:
    ctl.enqueue("a", queue="encodes", tag="who=anna")
    ctl.enqueue("b", queue="encodes", delay="1h")
    ctl.enqueue("c")
    assert ctl("list", "--queue", "encodes").jobs == ["2", "1"]
    assert ctl("list", "--tag", "who=anna").jobs == ["1"]
    assert ctl("list", "--state", "scheduled", "--state", "pending").jobs == ["3", "2", "1"]
    assert ctl("list", "--state", "scheduled").jobs == ["2"]
    assert ctl("list", "--since", "1h-ago").jobs == ["3", "2", "1"]
    assert ctl("list", "--until", "1h-ago").jobs == []
    assert ctl("list", "--since", "@3").jobs == ["3", "2"]
    assert "no position 99" in ctl("list", "--since", "@99", code=3).err
    assert "K=V" in ctl("list", "--tag", "anna", code=2).err
    assert "not a time" in ctl("list", "--since", "soon", code=2).err


def test_a_pipe_gets_whole_plain_lines(ctl: Ctl) -> None:
    command = "echo " + "x" * 500 + "\n\techo \x1b[31mred"
    ctl.enqueue(command)
    (line,) = ctl("list").lines
    assert line.split("\t")[5] == "echo " + "x" * 500 + "␊␉echo ␛[31mred"


def test_a_job_is_shown_with_policy_and_attempts(ctl: Ctl) -> None:
    job = ctl.enqueue("exit 3", max_retries=1, backoff_base=0)
    ctl.drain()
    shown = ctl.show(job)
    assert [(run["outcome"], run["exit_code"]) for run in shown["attempts"]] == [("failed", 3)] * 2
    assert shown["policy"]["backoff_base"] == 0
    assert shown["policy"]["cwd"] == str(ctl.folder)
    lines = dict(line.split("\t", 1) for line in ctl("show", "last").lines)
    assert (lines["state"], lines["failure"], lines["exit_code"]) == ("dead", "exit", "3")
    assert (lines["cancel_requested"], lines["worker"]) == ("false", "")


def test_a_missing_job_is_reported(ctl: Ctl) -> None:
    assert "there are no jobs yet" in ctl("show", "last", code=3).err
    ctl.enqueue("true")
    for words in (["show", "7"], ["history", "7"], ["logs", "7"], ["wait", "7"], ["cancel", "7"]):
        assert ctl(*words, code=3).err.startswith("error: job 7 not found")
    assert "from 5 to 9" in ctl("cancel", "5-9", code=3).err


def test_waiting_ends_with_the_jobs(ctl: Ctl) -> None:
    good, bad = ctl.enqueue("true"), ctl.enqueue("false", max_retries=0)
    waiting = ctl.start("wait", good)
    waiting_for_both = ctl.start("wait", "1-2")
    with ctl.worker():
        assert waiting.ends().code == 0
        assert waiting_for_both.ends().code == 1
    assert ctl("wait", good, bad, code=1).lines == ["1\tcompleted", "2\tdead"]
    assert ctl("wait", "-", stdin=f"{good}\n").code == 0


def test_waiting_for_any_ends_with_the_first(ctl: Ctl) -> None:
    first, never = ctl.enqueue("true"), ctl.enqueue("true", delay="1d")
    waiting = ctl.start("wait", first, never, "--any")
    with ctl.worker():
        done = waiting.ends()
    assert (done.code, done.out) == (0, "1\tcompleted")


def test_waiting_gives_up_in_time(ctl: Ctl) -> None:
    ctl.enqueue("true")
    assert "timed out" in ctl("wait", "1", "--timeout", "100ms", code=7).err


def test_ctrl_c_ends_waiting(ctl: Ctl) -> None:
    ctl.enqueue("true")
    with ctl.running("events", "-f") as feed:
        feed.says("enqueued")
        feed.kill(signal.SIGINT)
        done = feed.ends()
    assert (done.code, "Traceback" in done.err) == (130, False)


def test_waiting_jobs_are_cancelled_at_once(ctl: Ctl) -> None:
    for _ in range(4):
        ctl.enqueue("true")
    ctl.enqueue("true", queue="other")
    assert ctl("cancel", "1", "3-4", "--reason", "enough").lines == [
        "1\tcancelled",
        "3\tcancelled",
        "4\tcancelled",
    ]
    assert ctl.history("3")[-1]["data"] == {"reason": "enough"}
    assert ctl("cancel", "--queue", "default").jobs == ["2"]
    assert ctl("list", "--state", "pending").jobs == ["5"]
    assert ctl("cancel", "--all").jobs == ["5"]
    assert ctl("cancel", "1").lines == ["1\tcancelled"]


def test_a_running_job_is_ended_by_its_worker(ctl: Ctl) -> None:
    job = ctl.enqueue("sleep 60")
    with ctl.worker():
        ctl.wait_for(job, "claimed")
        ctl("cancel", job)
        ctl("wait", job, code=1)
    assert ctl.event_types(job)[-2:] == ["cancel-requested", "cancelled"]


def test_an_ended_job_cannot_be_cancelled(ctl: Ctl) -> None:
    done, waits = ctl.enqueue("true"), ctl.enqueue("true", delay="1h")
    with ctl.worker():
        ctl("wait", done)
    assert "has already completed and cannot be cancelled" in ctl("cancel", waits, done, code=4).err
    assert ctl.show(waits)["state"] == "scheduled"


def test_jobs_must_be_chosen_one_way(ctl: Ctl) -> None:
    ctl.enqueue("true")
    assert "no jobs given" in ctl("cancel", code=2).err
    assert "not both" in ctl("cancel", "1", "--all", code=2).err
    assert "not both" in ctl("cancel", "1", "--queue", "default", code=2).err


def test_a_change_of_no_job_is_reported(ctl: Ctl) -> None:
    ctl.enqueue("true")
    assert "nothing changed" in ctl("cancel", "--state", "dead", "--yes").err
    assert "nothing changed" in ctl("dlq", "retry", "--all").err


def test_a_queue_that_never_had_a_job_is_reported(ctl: Ctl) -> None:
    ctl.enqueue("true", queue="encodes")
    for words in (["list"], ["status"], ["dlq", "list"], ["cancel"]):
        assert (
            "No job was ever enqueued to queue encode; did you mean encodes?"
            in ctl(*words, "--queue", "encode").err
        )
        assert "never" not in ctl(*words, "--queue", "encodes").err


def test_a_wide_terminal_shows_names_and_queues(ctl: Ctl) -> None:
    ctl.enqueue("true", name="nightly backup")
    wide = screen(ctl, "list", columns=120).lines
    assert "queue" not in wide[0].split()
    assert "nightly backup" in wide[1]
    ctl.enqueue("true", queue="encodes")
    assert "queue" in screen(ctl, "list", columns=120).lines[0].split()
    assert "queue" not in screen(ctl, "list", columns=80).lines[0].split()


def test_a_job_that_excludes_exit_code_0_is_shown_with_the_reason_of_its_failure(ctl: Ctl) -> None:
    job = ctl.enqueue("exit 0", success_exit="only:3", max_retries=0)
    ctl.drain()
    facts = [line.split() for line in screen(ctl, "show", job).lines]
    assert ["success", "only", "3"] in facts
    assert ["last", "ended", "exit", "0", "(success", "is", "only", "3)"] in facts


def test_an_overdue_job_waits_for_a_worker(ctl: Ctl) -> None:
    job = ctl.enqueue("true", delay="1us")
    due, hint = screen(ctl, "show", job).lines[-2:]
    assert due.startswith("overdue since")
    assert hint == "No worker is running. Start one: queuectl worker start"
    assert "overdue" in screen(ctl, "list").lines[1]
    assert "no worker is running" in ctl("status").out


def test_show_hints_at_output_if_there_is_any(ctl: Ctl) -> None:
    silent, loud = ctl.enqueue("true"), ctl.enqueue("echo loud")
    ctl.drain()
    for words in ("show", "history"):
        assert "queuectl logs" not in "".join(screen(ctl, words, silent).lines)
        assert f"output: queuectl logs {loud}" in screen(ctl, words, loud).lines[-1]


def test_a_dry_run_of_cancel_changes_nothing(ctl: Ctl) -> None:
    ctl.enqueue("true")
    assert "cancelled" in ctl("cancel", "--all", "--dry-run").out
    assert ctl("list", "--state", "pending").jobs == ["1"]


def test_an_attempt_that_was_ended_leads_with_the_reason(ctl: Ctl) -> None:
    late = ctl.enqueue("sleep 60", timeout=0.1, max_retries=0)
    ctl.drain()
    stopped = ctl.enqueue("sleep 60")
    with ctl.worker():
        ctl.wait_for(stopped, "claimed")
        ctl("worker", "stop", "--now")
    ctl("cancel", stopped)
    for job, words in ((late, "timed out"), (stopped, "worker stopped")):
        assert words in "\n".join(screen(ctl, "show", job).lines)
    assert "timed out after" in "\n".join(screen(ctl, "history", late).lines)


def test_status_of_a_queue_shows_its_waiting_jobs(ctl: Ctl) -> None:
    ctl.enqueue("true", queue="other")
    mine = ctl.enqueue("true", queue="mine")
    assert f"Oldest waiting: job {mine}, for " in ctl("status", "--queue", "mine").out
    assert ctl("status", "--queue", "mine", "--json").json["oldest_waiting"]["id"] == mine
    assert "Oldest waiting" not in ctl("status", "--queue", "none").out


def test_a_job_that_waits_for_its_time_runs_now_when_retried(ctl: Ctl) -> None:
    failing = ctl.enqueue("test $QUEUECTL_ATTEMPT = 2", backoff_base=1000)
    delayed = ctl.enqueue("true", delay="30d")
    with ctl.worker():
        ctl.wait_for(failing, "scheduled-retry")
        retried = ctl("retry", failing, delayed, "--reason", "the server is back")
        assert retried.lines == [f"{failing}\tpending", f"{delayed}\tpending"]
        assert ctl("wait", failing, delayed).code == 0
    (requeued,) = [event for event in ctl.history(failing) if event["type"] == "requeued"]
    assert requeued["data"] == {"why": "asked", "reason": "the server is back"}
    assert ctl.show(failing)["retries_used"] == 1


def test_retry_revives_a_dead_job_and_selects_waiting_ones_by_filters(ctl: Ctl) -> None:
    dead, delayed = ctl.dead_job(), ctl.enqueue("true", delay="30d")
    waiting = ctl.enqueue("true")
    assert ctl("retry", "--all", "--yes").lines == [f"{delayed}\tpending"]
    assert ctl("retry", waiting).lines == [f"{waiting}\tpending"]
    assert ctl("retry", dead).lines == [f"{dead}\tpending"]
    assert ctl.history(dead)[-1]["data"] == {"why": "dlq"}
    assert len(ctl.history(waiting)) == 1


def test_ended_and_running_jobs_are_not_retried(ctl: Ctl) -> None:
    done, delayed = ctl.enqueue("true"), ctl.enqueue("true", delay="30d")
    with ctl.worker():
        ctl("wait", done)
        running = ctl.enqueue("sleep 60")
        ctl.wait_for(running, "claimed")
        refused = ctl("retry", delayed, running, code=4)
    assert refused.err.startswith(f"error: job {running} is already running; ")
    assert ctl("retry", done, code=4).err.startswith(f"error: job {done} has already completed; ")
    ctl("retry", "99", code=3)
    assert ctl.event_types(delayed) == ["enqueued"]
    assert ctl("retry", delayed, "--dry-run").lines[0].split("\t")[2:4] == [delayed, "requeued"]
    assert ctl.event_types(delayed) == ["enqueued"]


def test_a_time_that_is_not_today_is_shown_with_its_date(ctl: Ctl) -> None:
    job = ctl("enqueue", "--run-at", "2031-05-06T10:00:00Z", "--", "true").out.strip()
    shown = " ".join(screen(ctl, "show", job).lines)
    assert "6 May 2031" in shown
    assert f"queuectl retry {job}" in shown


def test_show_prints_the_path_of_the_job(ctl: Ctl) -> None:
    ctl("enqueue", "--", "ffmpegx", env={"PATH": "/opt/none:/usr/bin"})
    ctl("enqueue", "--env", "PATH=/own", "--", "true", env={"PATH": "/opt/none:/usr/bin"})
    assert ctl.show("1")["policy"]["path"] == "/opt/none:/usr/bin"
    assert ctl.show("2")["policy"]["path"] == "/own"
    assert "path\t/own" in ctl("show", "2").lines
    assert "  PATH       /opt/none:/usr/bin" in screen(ctl, "show", "1").lines


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["ffmpegx", "-i"], "searched in PATH=/opt/none:/usr/bin; set another with --env PATH=…"),
        (
            ["FOO=1", "make", "a b"],
            "quote the whole line: queuectl enqueue -- 'FOO=1 make '\"'\"'a",
        ),
        (
            ["FOO=1", "make"],
            "FOO=1 was taken as a program, since several words run without a shell",
        ),
        (["FOO=1", "make"], "use --env FOO=1"),
        (["make -j2", "all"], "'make -j2' was taken as the name of one program"),
        (["make -j2", "all"], "quote the whole line: queuectl enqueue -- 'make -j2 all'"),
        (["ffmpegx; exit $?"], "searched in PATH=/opt/none:/usr/bin"),
    ],
)
def test_a_command_that_was_not_found_says_how_it_was_understood(
    ctl: Ctl, words: list[str], hint: str
) -> None:
    ctl("enqueue", "--max-retries", "0", "--", *words, env={"PATH": "/opt/none:/usr/bin"})
    ctl.drain()
    assert hint in "\n".join(screen(ctl, "show", "1", columns=300).lines)
    if len(words) > 1:
        assert hint in ctl("logs", "1").err

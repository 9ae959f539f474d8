"""A real terminal: lists that fit, hostile text that is harmless, confirmations, Ctrl-C."""

import json
from collections.abc import Mapping
from typing import Self

import pexpect
import pyte
import pytest

from tests.at_terminal import ended
from tests.ctl import DEADLINE_S, PROGRAM, Ctl

HOSTILE = "echo \x1b[2J\x1b]0;owned\x07 \x9b31m \u202egnp.exe [red]x[/nope] :boom: \r\n\tend"
ROWS, COLUMNS = 40, 80


class Terminal:
    """A command at a terminal, and what its screen shows. env: on top of the test's own."""

    def __init__(
        self, ctl: Ctl, *words: str, columns: int = COLUMNS, env: Mapping[str, str] | None = None
    ) -> None:
        self.screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.child = pexpect.spawn(
            PROGRAM[0],
            [*PROGRAM[1:], *words],
            cwd=str(ctl.folder),
            env={**ctl.env, "TERM": "xterm-256color", "COLUMNS": str(columns), **(env or {})},
            dimensions=(ROWS, columns),
            timeout=DEADLINE_S,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.close(force=True)

    def ends(self) -> int:
        """Return the exit code, once the screen is complete."""
        code = ended(self.child)
        self.raw += self.child.before
        self._stream.feed(self.raw)
        return code

    @property
    def lines(self) -> list[str]:
        """Return the lines of the screen that are not empty."""
        return [line.rstrip() for line in self.screen.display if line.strip()]


def screen(
    ctl: Ctl,
    *words: str,
    code: int = 0,
    columns: int = COLUMNS,
    env: Mapping[str, str] | None = None,
) -> Terminal:
    """Return the screen after a command."""
    with Terminal(ctl, *words, columns=columns, env=env) as shown:
        assert shown.ends() == code, shown.lines
        return shown


def test_a_list_fits_the_width_and_says_what_is_next(ctl: Ctl) -> None:
    ctl("enqueue", "--file", "-", stdin='{"command": "echo %s"}\n' % ("x" * 300) * 60)
    shown = screen(ctl, "list", "--limit", "3")
    assert len(shown.lines) == 6
    assert shown.lines[0].split() == [
        *("id", "state", "attempts", "enqueued", "command"),
    ]
    assert shown.lines[1].startswith("60  ○ pending")
    assert shown.lines[1].endswith("…")
    assert "queuectl list --limit 3 --after" in shown.lines[4]


def test_a_narrow_terminal_keeps_what_matters(ctl: Ctl) -> None:
    ctl.enqueue("echo " + "x" * 80)
    shown = screen(ctl, "list", columns=36)
    assert [line.split()[0] for line in shown.lines] == ["id", "1", "Queue:"]
    assert "○ pending" in shown.lines[1]
    assert "echo xxx" in shown.lines[1]


def test_hostile_text_cannot_move_the_cursor(ctl: Ctl) -> None:
    job = ctl.enqueue(HOSTILE, name="\x1b[8m", max_retries=0)
    ctl.drain()
    for words in (["list"], ["show", job], ["history", job], ["dlq", "list"], ["events"]):
        shown = screen(ctl, *words)
        assert b"\x1b[2J" not in shown.raw
        assert b"\x1b]0;" not in shown.raw
        assert b"\xc2\x9b" not in shown.raw
        assert "\u202e".encode() not in shown.raw
        text = "\n".join(shown.lines)
        assert "␛[2J" in text or words[0] == "events", text
    assert "[red]x[/nope] :boom: ␍␊␉end" in "".join(screen(ctl, "show", job).lines)


def test_colour_is_left_out_where_it_is_not_wanted(ctl: Ctl) -> None:
    ctl.enqueue("true")
    assert b"\x1b[3" in screen(ctl, "list").raw
    assert b"\x1b[36m" in screen(ctl, "show", "1").raw
    for words in (["list"], ["show", "1"], ["history", "1"], ["status"]):
        assert b"\x1b[" not in screen(ctl, *words, env={"NO_COLOR": "1"}).raw


def test_a_terminal_gets_hints_what_to_do_next(ctl: Ctl) -> None:
    assert (
        "No worker is running. Start one: queuectl worker start"
        in screen(ctl, "enqueue", "--", "true").lines
    )
    dead = ctl.dead_job()
    assert screen(ctl, "status").lines[-1] == "1 dead - queuectl dlq list"
    assert f"retry: queuectl dlq retry {dead}" in screen(ctl, "history", dead).lines[-1]
    ctl.enqueue("true")
    shown = screen(ctl, "show", "last")
    assert shown.lines[-1] == "No worker is running. Start one: queuectl worker start"


def test_many_jobs_are_changed_only_after_confirmation(ctl: Ctl) -> None:
    ctl("enqueue", '[{"command": "a"}, {"command": "b"}]')
    for answer, code, left in (("n", 1, ["2", "1"]), ("", 1, ["2", "1"]), ("y", 0, [])):
        with Terminal(ctl, "cancel", "--all") as terminal:
            terminal.child.expect("cancel 2 jobs")
            terminal.child.sendline(answer)
            assert terminal.ends() == code
        assert (terminal.lines[-1] == "Nothing changed.") == (code == 1)
        assert ctl("list", "--state", "pending").jobs == left


def test_individually_named_jobs_are_changed_without_confirmation(ctl: Ctl) -> None:
    ctl("enqueue", '[{"command": "a"}, {"command": "b"}, {"command": "c"}]')
    with Terminal(ctl, "cancel", "1-2") as terminal:
        terminal.child.expect("cancel 2 jobs")
        terminal.child.sendline("n")
        assert terminal.ends() == 1
    assert screen(ctl, "cancel", "1", "last").lines == ["job 1 is cancelled", "job 3 is cancelled"]


def test_a_retry_without_a_worker_says_how_to_start_one(ctl: Ctl) -> None:
    dead = ctl.dead_job()
    later = ctl.enqueue("true", delay="1d")
    hint = "No worker is running. Start one: queuectl worker start"
    assert screen(ctl, "dlq", "retry", dead).lines[-1] == hint
    assert screen(ctl, "retry", later).lines == [f"job {later} is pending", hint]
    assert screen(ctl, "cancel", later).lines == [f"job {later} is cancelled"]


def test_ctrl_c_once_drains_and_twice_stops(ctl: Ctl) -> None:
    first = ctl.enqueue("until test -e go; do sleep 0.01; done")
    with Terminal(ctl, "worker", "start") as worker:
        ctl.wait_for(first, "claimed")
        worker.child.sendintr()
        worker.child.expect("Ctrl-C again")
        (ctl.folder / "go").touch()
        assert worker.ends() == 0
    assert ctl.show(first)["state"] == "completed"
    second = ctl.enqueue("sleep 60")
    with Terminal(ctl, "worker", "start") as worker:
        ctl.wait_for(second, "claimed")
        worker.child.sendintr()
        worker.child.expect("Ctrl-C again")
        worker.child.sendintr()
        assert worker.ends() == 130
    assert ctl.show(second)["state"] == "pending"


def test_watching_shows_what_changes(ctl: Ctl) -> None:
    ctl.enqueue("echo first")
    with Terminal(ctl, "list", "--watch", "60") as watching:
        watching.child.expect("echo first")
        ctl.enqueue("echo second")
        watching.child.expect("echo second")
        watching.child.sendintr()
        assert watching.ends() == 130
    ctl("enqueue", "--file", "-", stdin='{"command": "echo more"}\n' * 100)
    with Terminal(ctl, "list", "--watch", "60") as watching:
        watching.child.expect("more lines")
        watching.child.sendintr()
        assert watching.ends() == 130
    assert watching.raw.count(b"echo more") <= ROWS
    assert "needs a terminal" in ctl("status", "--watch", "1", code=2).err


def test_an_existing_job_is_not_reported_as_enqueued(ctl: Ctl) -> None:
    ctl.enqueue("true")
    first = screen(ctl, "enqueue", "--id", "nightly", "--", "true")
    assert first.lines[0] == "job nightly enqueued"
    ctl.drain()
    again = screen(ctl, "enqueue", "--id", "nightly", "--", "true")
    assert again.lines[0] == "job nightly already exists (completed)"


def test_several_jobs_are_counted_as_new_or_as_existing(ctl: Ctl) -> None:
    def said(*ids: str | None) -> str:
        jobs = [{"command": "true"} | ({"id": job_id} if job_id else {}) for job_id in ids]
        return screen(ctl, "enqueue", json.dumps(jobs)).lines[0]

    ctl.enqueue("true")
    assert said(None, "a") == "2 jobs enqueued: 2 to a"
    assert said(None, "a") == "1 job enqueued: 3; 1 already existed: a"
    assert said("a", "b", "b") == "1 job enqueued: b; 1 already existed: a"
    assert said("a", "b", "a") == "2 jobs already existed: a, b"


def test_a_job_without_output_is_reported(ctl: Ctl) -> None:
    ctl.enqueue("true")
    ctl.drain()
    assert screen(ctl, "logs", "1").lines == ["No output."]
    assert ctl("logs", "1").err == ""


def test_a_list_of_failures_says_why(ctl: Ctl) -> None:
    ctl.dead_job()
    shown = screen(ctl, "list").lines
    assert "reason" in shown[0]
    assert "exit 3" in shown[1]


def test_a_progress_bar_is_one_line(ctl: Ctl) -> None:
    job = ctl.enqueue(r"for n in $(seq 100); do printf '%s %%\r' $n; done; echo; echo done")
    ctl.drain()
    assert screen(ctl, "logs", job).lines == ["100 %", "done"]
    assert screen(ctl, "logs", job, "--tail", "2").lines == ["100 %", "done"]
    assert screen(ctl, "logs", job, "-f").lines[:2] == ["100 %", "done"]
    assert ctl("logs", job).out.count("%") == 100


@pytest.mark.parametrize("words", [["wait", "1"], ["logs", "-f", "1"], ["events", "-f"]])
def test_ctrl_c_leaves_the_prompt_on_a_line_of_its_own(ctl: Ctl, words: list[str]) -> None:
    ctl.enqueue("true", delay="1d")
    with Terminal(ctl, *words) as shown:
        shown.child.expect("enqueued" if words[0] == "events" else "No worker is running")
        shown.child.sendintr()
        assert shown.ends() == 130
        assert shown.raw.endswith(b"\r\n")


def test_ctrl_c_ends_the_dashboard_on_a_line_of_its_own(ctl: Ctl) -> None:
    ctl.enqueue("true")
    with Terminal(ctl, "dashboard", "--port", "0") as shown:
        shown.child.expect("http://127.0.0.1:[0-9]+[^\n]*\n")
        shown.child.sendintr()
        shown.ends()
        assert shown.raw.endswith(b"^C\r\n")


def test_no_retry_is_suggested_for_an_empty_list_of_dead_jobs(ctl: Ctl) -> None:
    ctl.dead_job()
    assert "queuectl dlq retry" in screen(ctl, "dlq", "list").lines[-1]
    assert screen(ctl, "dlq", "list", "--cause", "exit 4").lines == ["No matching jobs."]


def test_status_says_which_pending_jobs_no_running_worker_takes(ctl: Ctl) -> None:
    hint = (
        "No running worker serves queue encodes. Start one: queuectl worker start --queue encodes"
    )
    ctl.enqueue("true", queue="encodes")
    with ctl.worker("--queue", "other") as worker:
        worker.says("worker ")
        assert hint in " ".join(screen(ctl, "status", columns=120).lines)
        assert hint not in " ".join(screen(ctl, "status", "-q", "other", columns=120).lines)
        assert hint not in ctl("status").out

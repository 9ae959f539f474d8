"""`logs` as typed."""

import pytest

from tests.ctl import Ctl


def test_output_comes_byte_for_byte_in_true_order(ctl: Ctl) -> None:
    job = ctl.enqueue(r"printf 'a\033[31m\0'; printf 'b\n' >&2; printf c")
    ctl.drain()
    assert ctl("logs", job).out == "a\x1b[31m\0b\nc"
    assert ctl("logs", job, "--tail", "1").out == "c"


def test_each_attempt_has_its_own_output(ctl: Ctl) -> None:
    job = ctl.enqueue("echo $QUEUECTL_ATTEMPT; exit 1", max_retries=1, backoff_base=0)
    ctl.drain()
    assert ctl("logs", job).out == "2\n"
    assert ctl("logs", job, "--attempt", "1").out == "1\n"
    assert "job 1 has only 2 attempts" in ctl("logs", job, "--attempt", "3", code=3).err


def test_following_continues_across_retries_until_the_job_ends(ctl: Ctl) -> None:
    job = ctl.enqueue(
        "echo attempt $QUEUECTL_ATTEMPT; sleep 0.3; test $QUEUECTL_ATTEMPT = 2",
        backoff_base=0.1,
    )
    following = ctl.start("logs", job, "-f")
    with ctl.worker():
        done = following.ends()
    assert (done.code, done.out) == (0, "attempt 1\nattempt 2")
    assert ctl("logs", job, "-f").out == "attempt 2\n"


def test_output_of_a_running_job_is_printed(ctl: Ctl) -> None:
    job = ctl.enqueue("echo begun; sleep 60")
    with ctl.worker():
        ctl.wait_for(job, "claimed")
        with ctl.running("logs", job, "-f") as following:
            following.says("begun")
        ctl("cancel", job)
        ctl("wait", job, code=1)


def test_output_that_was_not_kept_is_reported(ctl: Ctl) -> None:
    job = ctl.enqueue("yes 0123456789 | head -c 1000000", output_limit="100K")
    ctl.drain()
    printed = ctl("logs", job)
    assert len(printed.out) <= 100 << 10
    assert "not kept]" in printed.err


def test_a_job_that_has_not_run_has_no_output(ctl: Ctl) -> None:
    job = ctl.enqueue("true")
    printed = ctl("logs", job)
    assert (printed.out, "not run yet" in printed.err) == ("", True)
    assert "error: job 1 has not run yet" in ctl("logs", job, "--attempt", "1", code=3).err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--cwd", "/nowhere"], "failed: working directory /nowhere: No such file"),
        (["--cwd", "/"], "failed: ffmpegx: command not found"),
    ],
)
def test_an_attempt_that_never_started_says_why_instead(
    ctl: Ctl, options: list[str], why: str
) -> None:
    ctl("enqueue", "--max-retries", "0", *options, "--", "ffmpegx", "-i", "film.mov")
    ctl.drain()
    for words in (["logs", "1"], ["logs", "1", "-f"], ["logs", "1", "--attempt", "1"]):
        printed = ctl(*words)
        assert printed.out == ""
        assert printed.err.startswith(f"attempt 1 of job 1 never started: {why}")


def test_following_says_how_each_attempt_and_the_job_ended(ctl: Ctl) -> None:
    job = ctl.enqueue("echo out; exit 3", max_retries=1, backoff_base=0.1)
    following = ctl.start("logs", job, "-f")
    following.says("No worker is running. Start one: queuectl worker start")
    ctl.drain()
    done = following.ends()
    assert done.out == "out\nout"
    notes = [line.partition(" after ")[0] for line in done.err.splitlines()[1:]]
    assert notes == [
        "[attempt 1 failed: exit 3",
        "[attempt 2]",
        "[attempt 2 failed: exit 3",
        f"[job {job} is dead]",
    ]


def test_following_a_job_that_is_cancelled_while_it_waits_says_so(ctl: Ctl) -> None:
    job = ctl.enqueue("true", delay="1d")
    following = ctl.start("logs", job, "-f")
    following.says("No worker is running")
    ctl("cancel", job)
    assert following.ends().err.splitlines()[-1] == f"[job {job} is cancelled]"

"""A job with a given time: `enqueue` prints when it is due."""

import re

import pytest

from tests.behaviour.test_terminal import screen
from tests.ctl import Ctl

STAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{2}:[0-9]{2}"


@pytest.mark.parametrize("option", [("--delay", "2h"), ("--run-at", "in 2h")])
def test_a_person_reads_when_the_job_is_due(ctl: Ctl, option: tuple[str, str]) -> None:
    ctl.enqueue("true")
    lines = screen(ctl, "enqueue", *option, "--", "true").lines
    assert re.search(rf"job 2 is due at {STAMP}, in 2h\b", " ".join(lines))


def test_a_pipe_gets_the_bare_id(ctl: Ctl) -> None:
    ctl.enqueue("true")
    done = ctl("enqueue", "--delay", "2h", "--", "true")
    assert (done.out, done.err) == ("2\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["enqueue", "--run-at", "2020-01-01T09:00Z", "--", "true"],
        ["enqueue", '{"command": "true", "run_at": "2020-01-01T09:00Z"}'],
        ["enqueue", "--json", "--run-at", "2020-01-01T09:00Z", "--", "true"],
        ["enqueue", "--run-at", "yesterday 9:00", "--", "true"],
    ],
)
def test_a_time_that_has_passed_causes_a_warning(ctl: Ctl, words: list[str]) -> None:
    ctl.enqueue("true")
    done = ctl(*words)
    assert re.match(
        rf"warning: the time given for job 2 has passed \({STAMP}, [0-9dhm]+ ago\);"
        r" it can run at once\n\Z",
        done.err,
    )
    assert ctl.show("2")["state"] == "pending"


def test_a_missing_directory_causes_a_warning(ctl: Ctl) -> None:
    done = ctl("enqueue", "--cwd", "/nope/x", "--", "true")
    assert done.err.endswith(
        "warning: there is no directory /nope/x here; jobs cannot run without it\n"
    )
    assert ctl("enqueue", "--cwd", "/", "--", "true").err == ""


def test_many_times_that_have_passed_are_counted(ctl: Ctl) -> None:
    ctl.enqueue("true")
    late = '{"command": "true", "run_at": "2020-01-01T09:00Z"}\n'
    lines = ctl("enqueue", "--file", "-", stdin=late * 9).err.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "... and for 4 more"


@pytest.mark.parametrize("zone", ["Europe/Berln", "Mars/Olympus", ":nowhere"])
def test_an_unknown_time_zone_is_refused(ctl: Ctl, zone: str) -> None:
    refused = ctl("enqueue", "--run-at", "14:05", "--", "true", env={"TZ": zone}, code=2)
    assert "is not a time zone of this machine" in refused.err
    assert not ctl.db.exists()
    ctl("enqueue", "--run-at", "2030-01-01T09:00Z", "--", "true", env={"TZ": zone})
    ctl("enqueue", "--delay", "2h", "--", "true", env={"TZ": zone})


@pytest.mark.parametrize(
    ("zone", "utc"),
    [
        ("UTC", {"14:05"}),
        ("CET-1CEST,M3.5.0,M10.5.0/3", {"12:05", "13:05"}),
        ("<-03>3", {"17:05"}),
        ("", {"14:05"}),
    ],
)
def test_a_zone_that_the_c_library_knows_is_taken(ctl: Ctl, zone: str, utc: set[str]) -> None:
    job = ctl("enqueue", "--run-at", "14:05", "--", "true", env={"TZ": zone}).out.strip()
    assert ctl.show(job)["due_at"][11:16] in utc

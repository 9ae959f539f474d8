"""A log that an early version wrote, before the first release, still gives the same answers."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.ctl import Ctl

FIXTURE = Path(__file__).parents[1] / "fixtures" / "log-before-0.1.0"


@pytest.fixture
def early(ctl: Ctl) -> Ctl:
    """550 events: failures of all kinds, a lost worker, stops, cancels, settings, prefetch."""
    ctl.db.write_bytes(gzip.decompress(Path(f"{FIXTURE}.db.gz").read_bytes()))
    ctl.db.chmod(0o600)
    return ctl


@pytest.fixture
def answers() -> dict[str, Any]:
    """The answers of the version that wrote it."""
    recorded: dict[str, Any] = json.loads(Path(f"{FIXTURE}.json").read_text())
    return recorded


def jobs(ctl: Ctl, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The jobs, each with the fields that the early version had."""
    listed = ctl("list", "--limit", "500", "--json").json["jobs"]
    return [{name: job[name] for name in known[0]} for job in listed]


def test_an_early_log_is_unchanged(early: Ctl, answers: dict[str, Any]) -> None:
    assert answers["head"] in early("verify", "--expect", answers["head"]).out


@pytest.mark.parametrize("before", ["as it is", "after a replay"])
def test_an_early_log_gives_the_same_answers(
    early: Ctl, answers: dict[str, Any], before: str
) -> None:
    early("config", "set", "max-retries", "5")  # the first writer brings the read models up to date
    if before == "after a replay":
        early("replay")
    early("replay", "--check")
    assert jobs(early, answers["jobs"]) == answers["jobs"]
    status = early("status", "--json").json
    assert status["counts"] == answers["counts"]
    assert status["metrics"] == answers["metrics"]

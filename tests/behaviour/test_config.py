"""`config` as typed."""

import pytest

from queuectl.api import Queue
from queuectl.core.requests import SetConfig
from tests.ctl import Ctl


def test_a_setting_applies_to_jobs_enqueued_after_the_change(ctl: Ctl) -> None:
    before = ctl.enqueue("true")
    ctl("config", "set", "max-retries", "7")
    ctl("config", "set", "timeout", "90")
    after = ctl.enqueue("true")
    assert [ctl.show(job)["max_retries"] for job in (before, after)] == [3, 7]
    assert ctl.show(after)["policy"]["timeout_s"] == 90


@pytest.mark.parametrize(
    ("key", "typed", "shown"),
    [
        ("base_backoff", "1.5", "1.5"),
        ("backoff_max", "90", "1m30s"),
        ("timeout", "none", "none"),
        ("output-limit", "1048576", "1M"),
    ],
)
def test_a_value_is_shown_as_it_can_be_typed(ctl: Ctl, key: str, typed: str, shown: str) -> None:
    ctl("config", "set", key, typed)
    assert ctl("config", "get", key).out == f"{shown}\n"
    ctl("config", "set", key, shown)
    assert ctl("config", "get", key).out == f"{shown}\n"


def test_each_change_is_an_event_and_no_change_is_none(ctl: Ctl) -> None:
    ctl("config", "set", "jitter", "0.5", "--reason", "thundering herd")
    ctl("config", "set", "jitter", "0.5")
    ctl("config", "set", "jitter", "default")
    events = ctl("events", "--stream", "$config", "--json").json["events"]
    assert [event["data"] for event in events] == [
        {"key": "jitter", "value": 0.5, "reason": "thundering herd"},
        {"key": "jitter", "value": None, "before": 0.5},
    ]


def test_all_settings_are_listed_with_their_help(ctl: Ctl) -> None:
    keys = [line.split("\t")[0] for line in ctl("config", "list").lines]
    listed = ctl("config", "list", "--json").json["settings"]
    assert keys == [row["key"] for row in listed]
    assert {"max-retries", "backoff-base", "timeout"} <= set(keys)
    assert all(row["help"] for row in listed)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["set", "max-retrys", "1"], "did you mean max-retries?"),
        (["get", "zzz"], "config list"),
        (["set", "max-retries", "many"], "a whole number, not 'many'"),
        (["set", "max-retries", "-1"], "must be between 0 and 1,000,000"),
        (["set", "jitter", "2"], "between 0 and 1"),
        (["set", "timeout", "soon"], "not a duration"),
    ],
)
def test_bad_settings_are_refused(ctl: Ctl, words: list[str], reason: str) -> None:
    assert reason in ctl("config", *words, code=2).err
    assert not ctl.db.exists()


def test_a_dry_run_changes_no_setting(ctl: Ctl) -> None:
    assert "config-changed" in ctl("config", "set", "jitter", "1", "--dry-run").out
    assert ctl("config", "get", "jitter").out == "0\n"


def test_an_open_queue_uses_a_setting_changed_by_another_process(ctl: Ctl) -> None:
    with Queue(ctl.place) as queue:
        assert queue.enqueue("true").spec.max_retries == 3
        ctl("config", "set", "max-retries", "5")
        assert queue.enqueue("true").spec.max_retries == 5
        queue.send(SetConfig(key="max-retries", value=7))
        assert queue.enqueue("true").spec.max_retries == 7
        ctl.enqueue("true")
        assert queue.enqueue("true").id == "5"

"""The same id with the same request is the same job, however the request is written."""

import json
from pathlib import Path

import pytest

from tests.ctl import Ctl

SAME = [
    ({"env": {"A": "1", "B": "2"}}, {"env": {"B": "2", "A": "1"}}),
    ({"tags": {"a": "1", "b": "2"}}, {"tag": ["b=2", "a=1"]}),
    ({"success_exit": [3, 1]}, {"success_exit": [0, 1, 3, 3]}),
    ({"no_retry_exit": "SIGKILL,64"}, {"no_retry_exit": [64, "signal:9"]}),
    ({"backoff_base": 2}, {"backoff_base": 2.0}),
    ({"timeout": "1m30s"}, {"timeout": 90}),
    ({}, {"priority": 0, "queue": "default", "success_exit": 0, "name": None}),
    ({}, {"max_retries": 3, "backoff_base": 2, "timeout": "none", "jitter": 0}),
    ({"run_at": "in 2h"}, {"run_at": "in 2h"}),
    ({"run_at": "in 2h"}, {"delay": 7200}),
    ({"delay": "2h"}, {"delay": "120m"}),
    ({"run_at": "tomorrow 9:00"}, {"run_at": "Tomorrow  9:00"}),
    ({"run_at": "2030-01-01T00:00Z"}, {"run_at": "2030-01-01T01:00+01:00"}),
    ({"cwd": "/"}, {"cwd": "/usr/../"}),
]

DIFFERENT = [
    ({}, {"command": "false"}, "command"),
    ({"env": {"A": "1"}}, {"env": {"A": "2"}}, "env"),
    ({"delay": "2h"}, {"delay": "3h"}, "time"),
    ({"delay": "2h"}, {}, "time"),
    ({"success_exit": "only:1"}, {"success_exit": 1}, "success-exit"),
    ({"max_retries": 2}, {"timeout": 5}, "max-retries, timeout"),
    ({"cwd": "/"}, {"cwd": "/tmp"}, "directory or PATH"),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_requests_are_compared_as_they_were_made(
    ctl: Ctl, first: dict[str, object], second: dict[str, object]
) -> None:
    job = {"id": "e", "command": "true"}
    ctl("enqueue", json.dumps({**job, **first}))
    again = ctl("enqueue", json.dumps({**job, **second}), "--json").json
    assert (again["ids"], again["existing"]) == (["e"], ["e"])
    assert ctl.event_types("e") == ["enqueued"]


@pytest.mark.parametrize(("first", "second", "names"), DIFFERENT)
def test_a_different_request_is_refused_with_the_difference(
    ctl: Ctl, first: dict[str, object], second: dict[str, object], names: str
) -> None:
    job = {"id": "e", "command": "true"}
    ctl("enqueue", json.dumps({**job, **first}))
    refused = ctl("enqueue", json.dumps({**job, **second}), code=4)
    assert refused.err == (
        f"error: ID e is already used by a different job (not the same: {names});"
        " choose another, or see queuectl show e\n"
    )


def test_a_default_that_was_changed_since_makes_no_difference(ctl: Ctl) -> None:
    for _ in range(2):
        assert ctl("enqueue", '{"id": "e", "command": "true", "delay": "2h"}').out == "e\n"
        ctl("config", "set", "max-retries", "7")


def test_the_same_request_from_another_directory_names_the_jobs_directory(
    ctl: Ctl, tmp_path: Path
) -> None:
    ctl("enqueue", "--id", "e", "--", "true")
    (tmp_path / "there").mkdir()
    elsewhere = Ctl(tmp_path / "there")
    elsewhere.env["QUEUECTL_DB"] = str(ctl.db)
    for words in (
        ["enqueue", '{"id": "e", "command": "true"}'],
        ["enqueue", "--id=e", "--", "true"],
    ):
        again = elsewhere(*words)
        assert again.out == "e\n"
        assert again.err == (
            f"job e already exists and runs in {ctl.folder}, not in {tmp_path / 'there'}\n"
        )


def test_a_clash_in_a_file_names_its_line(ctl: Ctl) -> None:
    ctl("enqueue", "--id", "old", "--", "true")
    lines = '{"id": "x", "command": "a"}\n\n{"command": "b"}\n{"id": "x", "command": "c"}\n'
    refused = ctl("enqueue", "--file", "-", stdin=lines, code=4).err
    assert refused == (
        "error: -: line 4: ID x is already used by line 1 for a different job"
        " (not the same: command); nothing was enqueued\n"
    )
    array = '[{"command": "b"}, {"id": "old", "command": "c"}]'
    refused = ctl("enqueue", array, code=4).err
    assert refused.startswith("error: job 2: ID old is already used by a different job")
    assert ctl("list").jobs == ["old"]

"""The keys of a job: valid ones are accepted, invalid ones refused with the reason."""

from typing import Any

import pytest

from queuectl.core.requests import NewJob
from queuectl.errors import BadInput
from queuectl.input.job_spec import new_job

NOW_US = 1_764_000_000_000_000


def test_every_key_of_a_job_is_taken() -> None:
    asked = {
        "command": "make",
        "id": "build-1",
        "name": "the build",
        "queue": "builds",
        "priority": -5,
        "tags": {"who": "anna"},
        "delay": "1h30m",
        "max_retries": 5,
        "backoff_base": 1.5,
        "backoff_max": 90,
        "jitter": 0.5,
        "timeout": "5m",
        "grace": 2.5,
        "output_limit": "1M",
        "success_exit": [0, 3],
        "no_retry_exit": 64,
        "cwd": "/srv",
        "env": {"A": "1", "B": ""},
    }
    assert new_job(asked, NOW_US) == NewJob(
        command="make",
        id="build-1",
        name="the build",
        queue="builds",
        priority=-5,
        tags={"who": "anna"},
        delay_us=5_400_000_000,
        max_retries=5,
        backoff_base=1.5,
        backoff_max_us=90_000_000,
        jitter=0.5,
        timeout_us=300_000_000,
        grace_us=2_500_000,
        output_limit_bytes=1 << 20,
        success_exit=(0, 3),
        no_retry_exit=(64,),
        cwd="/srv",
        env={"A": "1", "B": ""},
    )


def test_a_job_may_have_an_argument_list_instead_of_a_command() -> None:
    assert new_job({"argv": ["ls", "-l", ""]}, NOW_US) == NewJob(argv=("ls", "-l", ""))


def test_a_null_value_is_ignored() -> None:
    assert new_job({"command": "true", "timeout": None}, NOW_US) == NewJob(command="true")


def test_tags_may_be_written_as_typed() -> None:
    job = new_job({"command": "true", "tag": ["a=1", "b=x=y"]}, NOW_US)
    assert job.tags == {"a": "1", "b": "x=y"}


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({}, "needs a"),
        ({"command": ""}, "empty"),
        ({"command": " \n"}, "empty"),
        ({"command": 5}, "must be text"),
        ({"command": ["ls", True]}, r"""'command' must be text, not \["ls", true\]"""),
        ({"command": "a", "argv": ["a"]}, "not both"),
        ({"argv": []}, "at least one"),
        ({"argv": [""]}, "empty"),
        ({"argv": ["a", 1]}, "must be text"),
        ({"command": "a\0b"}, "NUL"),
        ({"command": "a\ud800b"}, "surrogate"),
        ({"command": "x" * 131_072}, "can never run"),
        ({"argv": ["a", *["x" * 100_000] * 11]}, "can never run"),
        ({"command": "a", "env": {"A": "x" * 131_070}}, "can never run"),
        ({"command": "a", "id": "last"}, "'id' cannot be 'last': the word 'last' is reserved"),
        ({"command": "a", "id": "7"}, "'id'"),
        ({"command": "a", "id": "../x"}, "'id'"),
        ({"command": "a", "id": "a\n"}, "'id'"),
        ({"command": "a", "queue": ""}, "'queue'"),
        ({"command": "a", "name": ""}, "characters"),
        ({"command": "a", "priority": "1"}, "whole number"),
        ({"command": "a", "priority": True}, "whole number"),
        ({"command": "a", "priority": 2**63}, "whole number"),
        ({"command": "a", "max_retries": -1}, "must be between 0 and 1,000,000"),
        ({"command": "a", "max_retries": "3"}, "'max_retries' must be a number"),
        ({"command": "a", "max_retries": 1.5}, "whole"),
        ({"command": "a", "jitter": float("nan")}, "jitter"),
        ({"command": "a", "timeout": "-5m"}, "duration"),
        ({"command": "a", "timeout": -1}, "negative"),
        ({"command": "a", "delay": [1]}, "duration"),
        ({"command": "a", "delay": 1, "run_at": "14:05"}, "not both"),
        ({"command": "a", "run_at": "soon"}, "not a time"),
        ({"command": "a", "success_exit": [256]}, "0 to 255"),
        ({"command": "a", "success_exit": "x"}, "0 to 255"),
        ({"command": "a", "tag": "urgent"}, "K=V"),
        ({"command": "a", "tag": ["a=b", "a=d"]}, "a=b and a=d"),
        ({"command": "a", "tags": {"a b": "1"}}, "names of"),
        ({"command": "a", "tags": {"a": 1}}, "'tags' a must be text"),
        ({"command": "a", "tags": {f"t{n}": "1" for n in range(101)}}, "at most 100"),
        ({"command": "a", "tag": "a=1", "tags": {"a": "1"}}, "the same"),
        ({"command": "a", "env": {"A=B": "1"}}, "names without"),
        ({"command": "a", "env": {"QUEUECTL_JOB": "1"}}, "the worker sets"),
        ({"command": "a", "max_retrys": 1}, "did you mean max_retries"),
        ({"command": "a", "zzz": 1}, "the keys are"),
    ],
)
def test_invalid_keys_and_values_are_refused_with_the_reason(
    asked: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        new_job(asked, NOW_US)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (
            {"command": "a", "state": "pending", "attempts": 0, "created_at": "x"},
            "leave out state, attempts, created_at: the queue sets them itself",
        ),
        (
            {"cmd": "a", "retries": 2, "updated_at": "x"},
            (
                "leave out updated_at: the queue sets them itself;"
                " unknown job key 'cmd'; did you mean command?;"
                " unknown job key 'retries'; did you mean max_retries?"
            ),
        ),
        ({"working-directory": "/"}, "did you mean cwd?"),
        ({"schema": 1, "position": 4, "jobs": []}, "give the array alone (jq .jobs)"),
    ],
)
def test_all_unknown_keys_are_named_at_once(asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadInput) as refused:
        new_job(asked, NOW_US)
    assert reason in str(refused.value)


def test_many_unknown_keys_are_counted() -> None:
    with pytest.raises(BadInput, match="and 95 more unknown keys"):
        new_job({f"z{n}": 1 for n in range(100)}, NOW_US)


def test_a_refusal_of_a_long_value_is_short() -> None:
    with pytest.raises(BadInput) as refused:
        new_job({"command": "true", "[" * 100_000: 1}, NOW_US)
    assert len(str(refused.value)) < 1_000

"""Jobs from JSON: one object, an array, or one job per line."""

import io
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.errors import BadInput
from queuectl.input.job_files import Spool, jobs_from_json


def commands(document: bytes) -> list[str | None]:
    return [job.command for job in Spool(io.BytesIO(document), 0)]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b'{"command": "a"}', ["a"]),
        (b'{\n  "command": "a",\n  "max_retries": 2\n}\n', ["a"]),
        (b'[{"command": "a"}, {"command": "b"}]', ["a", "b"]),
        (b'[\n  {"command": "a"},\n  {"command": "b"}\n]\n', ["a", "b"]),
        (b'{"command": "a"}\n{"command": "b"}\n', ["a", "b"]),
        (b'\n{"command": "a"}\r\n\n  \n{"command": "b"}', ["a", "b"]),
        (b"[]", []),
        (b"", []),
        (b" \n ", []),
        (b'\xef\xbb\xbf{"command": "a"}\n{"command": "b"}\n', ["a", "b"]),
        (b'\xef\xbb\xbf[{"command": "a"}]', ["a"]),
    ],
)
def test_a_file_may_contain_an_object_an_array_or_one_job_per_line(
    document: bytes, expected: list[str]
) -> None:
    assert commands(document) == expected


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'{"command": "a"}\n{"command": b}\n', r"line 2: invalid JSON"),
        (b'{"command": "a"}\n\n{"command": ""}\n', r"line 3: 'command' is empty"),
        (b'{"command": "a"}\n7\n', r"line 2: a job is a JSON object"),
        (b'\n\n{\n "command": "a",\n}', r"line 5, column 1"),
        (b'[{"command": "a"}, {"command": ""}]', r"job 2: 'command' is empty"),
        (b'{"command": "a", "command": "b"}', "twice"),
        (b'{"command": "a", "env": {"A": "1", "A": "2"}}', "twice"),
        (b'{"command": "a:b", "command": "c:\\":d"}', "twice"),
        (b'{"command": NaN}', "invalid JSON"),
        (b'{"command": "a", "timeout": Infinity}', "invalid JSON"),
        (b'{"command": "a", "timeout": 1e999}', "'timeout': inf seconds is too long"),
        (b'{"command": "a", "backoff_base": 1e400}', "'backoff_base' must be between 0 and 1000"),
        (b'{"command": "a", "max_retries": -1e400}', "'max_retries' must be between 0 and"),
        (b'{"command": "a", "delay": 1e400}', "'delay': inf seconds is too long"),
        (b'{"command": "a", "priority": 1e400}', "'priority' must be a whole number from"),
        (b'{"command": "a", "priority": 1e400, "timeout": NaN}', "out of range"),
        (b'{"command": "a", "cwd": " "}', "'cwd' is empty; name a directory"),
        (b'{"command": "a", "priority": 9223372036854775808}', "whole number"),
        (b'{"command": "\\ud800"}', "surrogate"),
        (b'{"command": "\\ud800 b"}', "surrogate"),
        (b'{"command": "\xff"}', "UTF-8"),
        (b'{"command": "a"', "unexpected end of input"),
        (b'{"command": "a"} x', "trailing"),
        (b'{\n"command": "a"\n}\n{\n"command": "b"\n}', r"one per line \(jq -c\)"),
        (b'{"command": "a"}{"command": "b"}', "one per line"),
        (b'{"command": "a"}\n{"command": "b"} {"command": "c"}', "line 2: several JSON texts"),
        (b"\xff\xfe{\x00", "UTF-16"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 100_000, "nested"),
        (b'"make"', "JSON object"),
        (b"make", "invalid JSON"),
    ],
)
def test_an_invalid_job_is_refused_with_its_place_and_the_reason(
    document: bytes, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        Spool(io.BytesIO(document), 0)


def test_a_line_that_is_too_long_is_refused() -> None:
    document = b'{"command": "a"}\n{"command": "' + b"x" * (17 << 20) + b'"}\n'
    with pytest.raises(BadInput, match="line 2: longer than"):
        Spool(io.BytesIO(document), 0)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(st.lists(texts.filter(str.strip), min_size=1, max_size=5))
def test_any_command_comes_through_unchanged(expected: list[str]) -> None:
    lines = "\n".join(json.dumps({"command": command}) for command in expected)
    assert commands(lines.encode()) == expected
    array = json.dumps([{"command": command} for command in expected])
    assert [job.command for job in jobs_from_json(array.encode(), 0)] == expected


@given(st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused(document: bytes) -> None:
    with suppress(BadInput):
        assert all(commands(document))


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_jobs_are_the_same_however_they_are_put_together(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number or by size: large jobs do not fill the memory."""
    document = b"".join(b'{"command":"echo %d"}\n' % n for n in range(7))
    for name, value in (("CHUNK", limit), ("CHUNK_CHARACTERS", 6 * limit)):
        monkeypatch.setattr(f"queuectl.input.job_files.{name}", value)
        spool = Spool(io.BytesIO(document), 0)
        assert [job.command for job in spool] == [f"echo {n}" for n in range(7)]
        assert [spool.place(n) for n in (1, 7)] == ["line 1", "line 7"]

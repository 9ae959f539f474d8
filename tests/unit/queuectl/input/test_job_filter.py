"""Filters of jobs, from texts."""

import pytest

from projections.read_models.jobs import Filter
from queuectl.errors import BadInput
from queuectl.input.job_filter import LONGEST_SEARCH, job_filter, position_or_time
from queuectl.text.numbers import LARGEST_INTEGER, whole_number


def test_texts_become_a_filter() -> None:
    chosen = job_filter(
        ["dead", "failed", "dead"],
        queue="night",
        tag="model=resnet=50",
        search="train",
        cause="SIGKILL",
        since="@7",
        until="1970-01-01T00:01Z",
        recorded_at_us=lambda position: position * 1_000_000,
    )
    assert chosen == Filter(
        states=("dead", "failed"),
        queue="night",
        tag=("model", "resnet=50"),
        search="train",
        cause="signal 9",
        since_us=7_000_000,
        until_us=60_000_000,
    )


def test_a_cause_without_states_selects_dead_jobs() -> None:
    assert job_filter(cause="exit 1").states == ("dead",)
    assert job_filter() == Filter()


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"states": ["lost"]}, "there is no state 'lost'"),
        ({"tag": "urgent"}, "--tag must be K=V, not 'urgent'"),
        ({"tag": "urgent", "tag_rule": "a tag is K=V"}, "a tag is K=V, not 'urgent'"),
        ({"search": "x" * (LONGEST_SEARCH + 1)}, "at most 400 characters"),
        ({"search": "a\0b"}, "without NUL"),
        ({"cause": "exit3"}, "did you mean 'exit 3'?"),
        ({"since": "2 moons"}, "2 moons"),
    ],
)
def test_invalid_texts_are_refused(texts: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        job_filter(**texts)  # type: ignore[arg-type]
    assert words in str(refused.value)


def test_a_position_is_no_time() -> None:
    assert position_or_time("@4711") == (4711, None)
    assert position_or_time("1970-01-01T00:00:01Z") == (None, 1_000_000)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("+7", 7),
        ("-7", None),
        (f"{LARGEST_INTEGER}", LARGEST_INTEGER),
        (f"{LARGEST_INTEGER + 1}", None),
        ("0" * 5000 + "7", 7),
        ("1" * 5000, None),
        ("\u0663", None),
        ("1.5", None),
        ("7\n", None),
        ("", None),
    ],
)
def test_whole_numbers_are_ascii_digits_within_bounds(text: str, number: int | None) -> None:
    assert whole_number(text, 0, LARGEST_INTEGER) == number

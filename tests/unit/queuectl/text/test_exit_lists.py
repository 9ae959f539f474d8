"""Exit codes and signals as people list them."""

import pytest

from queuectl.errors import BadInput
from queuectl.text.exit_lists import endings, endings_text, successes, successes_text


@pytest.mark.parametrize(
    ("value", "codes", "signals"),
    [
        (3, (3,), ()),
        ([65, 64, 64], (64, 65), ()),
        ("64, 65", (64, 65), ()),
        ("3,SIGKILL", (3,), (9,)),
        (["KILL", "sigterm", 1], (1,), (9, 15)),
        ("signal:9,signal:TERM,SIGNAL:64", (), (9, 15, 64)),
        ([], (), ()),
    ],
)
def test_codes_and_signals_are_in_one_list(
    value: object, codes: tuple[int, ...], signals: tuple[int, ...]
) -> None:
    assert endings("--no-retry-exit", value) == (codes, signals)


@pytest.mark.parametrize(
    "value",
    [256, -1, True, 1.0, None, "x", "1 3", "1,", "٣", "SIGNOPE", "signal:0", "signal:65", {"a": 1}],
)
def test_a_word_that_is_neither_is_named_in_the_refusal(value: object) -> None:
    with pytest.raises(BadInput, match=r"--no-retry-exit: .*no exit code and no signal"):
        endings("--no-retry-exit", value)


def test_a_list_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadInput, match="at most 100 exit codes and signals, not 101"):
        endings("'no_retry_exit'", list(range(101)))


@pytest.mark.parametrize(
    ("value", "codes", "signals"),
    [
        ("1", (0, 1), ()),
        (1, (0, 1), ()),
        ([3, 1], (0, 1, 3), ()),
        ("SIGTERM", (0,), (15,)),
        ("only:3,1", (1, 3), ()),
        ("only:SIGTERM", (), (15,)),
        ("only:0", (0,), ()),
        ([], (0,), ()),
    ],
)
def test_codes_of_success_are_added_to_0_unless_only_is_said(
    value: object, codes: tuple[int, ...], signals: tuple[int, ...]
) -> None:
    assert successes("--success-exit", value) == (codes, signals)


@pytest.mark.parametrize("value", ["only:", "only: ", ["only:1"], "only:x"])
def test_a_job_that_could_never_succeed_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="--success-exit"):
        successes("--success-exit", value)


def test_lists_are_formatted_as_they_are_typed() -> None:
    assert endings_text((0, 3), (15, 40)) == "0, 3, SIGTERM, signal:40"


def test_a_success_without_exit_code_0_reads_as_the_only_one() -> None:
    assert successes_text((0, 3), (15,)) == "0, 3, SIGTERM"
    assert successes_text((3,), ()) == "only 3"
    assert successes_text((), (15,)) == "only SIGTERM"

"""Causes of death, in every form in which the program shows them."""

from typing import get_args

import pytest

from eventstore.events.job import FailureReason
from queuectl.errors import BadInput
from queuectl.text.causes import cause_from, cause_words


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("exit 1", "exit 1"),
        ("failed: exit 255", "exit 255"),
        ("exit 0 (success is only 3)", "exit 0"),
        ("signal 9", "signal 9"),
        ("signal 9 (SIGKILL)", "signal 9"),
        ("SIGKILL", "signal 9"),
        ("signal:40", "signal 40"),
        ("signal 40", "signal 40"),
        ("Timed out", "timeout"),
        ("timeout", "timeout"),
        ("ffmpeg: command not found", "not-found"),
        ("x: No such file or directory: the interpreter in its first line", "not-found"),
        ("/etc/passwd: Permission denied", "not-executable"),
        ("working directory /x: No such file or directory", "no-directory"),
        ("could not be started: Text file busy", "launch"),
        ("unknown", "unknown"),
    ],
)
def test_a_cause_is_taken_as_it_is_shown(text: str, cause: str) -> None:
    assert cause_from(text) == cause


@pytest.mark.parametrize(
    "cause",
    [
        "exit 0",
        *(f"signal {number}" for number in (1, 9, 64, 128)),
        *(reason for reason in get_args(FailureReason) if reason not in ("exit", "signal")),
    ],
)
def test_stored_and_shown_form_name_the_same_cause(cause: str) -> None:
    assert cause_from(cause) == cause_from(cause_words(cause)) == cause


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("exit1", "did you mean 'exit 1'?"),
        ("exit-code 7", "did you mean 'exit 7'?"),
        ("3", "did you mean 'exit 3'?"),
        ("signal9", "did you mean 'signal 9'?"),
        ("timedout", "did you mean 'timed out'?"),
        ("comand not found", "did you mean 'command not found'?"),
        ("SIGKIL", "did you mean 'SIGKILL'?"),
        ("", "write 'exit 1'"),
        ("foo", "write 'exit 1'"),
        ("exit 256", "write 'exit 1'"),
        ("signal 0", "write 'exit 1'"),
        ("exit \u0663", "write 'exit 1'"),
    ],
)
def test_an_unknown_cause_is_refused(text: str, hint: str) -> None:
    with pytest.raises(BadInput, match="unknown cause") as refused:
        cause_from(text)
    assert hint in str(refused.value)

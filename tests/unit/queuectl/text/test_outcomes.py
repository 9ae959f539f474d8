"""How an attempt ended: one wording everywhere."""

import pytest

from queuectl.text.outcomes import how_ended


@pytest.mark.parametrize(
    ("words", "ended"),
    [
        ("exit 3", ("exit", 3, None)),
        ("exit 0", (None, 0, None)),
        ("signal 9 (SIGKILL)", ("signal", None, 9)),
        ("signal 40", ("signal", None, 40)),
        ("timed out", ("timeout", None, 15)),
        ("worker lost", ("worker-lost", None, None)),
        ("worker stopped", ("worker-stopped", None, 15)),
        ("command not found", ("not-found", None, None)),
        ("ffmpeg: command not found", ("not-found", None, None, "ffmpeg: command not found")),
        ("no such working directory", ("no-directory", None, None)),
        ("working directory /x: gone", ("no-directory", None, None, "/x: gone")),
        ("could not be started: Text file busy", ("launch", None, None, "Text file busy")),
    ],
)
def test_an_outcome_is_described_in_common_terms(words: str, ended: tuple[object, ...]) -> None:
    assert how_ended(*ended) == words  # type: ignore[arg-type]

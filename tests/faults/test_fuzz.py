"""Fuzzing: twenty thousand inputs, and faults planted to be found by it."""

import time
from random import Random

import pytest

from eventstore import codec
from queuectl.cli.ui import job_output
from queuectl.input import job_files
from tests.torture import fuzz
from tests.torture.faces import faces
from tests.torture.fuzz import FUZZ, tried
from tests.torture.proof import assert_kept
from tests.torture.targets import PURE, Broken, Target


@pytest.mark.timeout(300)
@pytest.mark.sampled
def test_whatever_comes_in_is_taken_or_refused_in_words() -> None:
    assert_kept(FUZZ)


def test_the_same_seed_tries_the_same() -> None:
    def drawn() -> list[object]:
        return [one.attempt(Random(f"{one.name} 7 {n}"))[0] for one in PURE for n in range(9)]

    assert drawn() == drawn()


def found(name: str, amount: int = 2_000) -> list[str]:
    """What is found at one target alone."""
    (target,) = (one._replace(share=1) for one in PURE if one.name == name)
    return tried([target], amount, 0).found


def test_a_decoder_that_lets_an_error_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "ChainBroken", KeyError)
    assert any("raises" in one for one in found("events"))


def test_events_that_are_read_back_otherwise_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = codec.encode
    monkeypatch.setattr(codec, "encode", lambda event: encode(event).replace("a", "b"))
    assert found("events")


def test_half_a_surrogate_that_is_let_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        job_files, "_refuse_duplicate_keys", lambda text, keys: keys["command"].nothing
    )
    assert any("AttributeError" in one for one in found("json", 500))


def test_output_that_acts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_output, "visible", lambda text, keep="": text)
    assert any("acts" in one for one in found("terminal"))


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "HANG_S", 0.05)

    def spins(draw: Random) -> tuple[object, Broken]:
        end = time.process_time() + 20
        while time.process_time() < end:
            draw.random()
        return None, None

    (hung,) = tried([Target("spins", 1, spins)], 1, 0).found
    assert "hangs" in hung


def test_a_refusal_that_writes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with faces() as both:
        queue = both._queue

        def refuse_and_write(words: list[str], stdin: bytes) -> tuple[int, str]:
            queue.enqueue("true")
            return 4, "error: no\n"

        monkeypatch.setattr("tests.torture.faces._run", refuse_and_write)
        _, broken = both.command_line(Random(0))
    assert broken == "exit 4, and yet the log has grown"

"""Fuzzing, and planted faults that it must find."""

import time
from random import Random

import pytest

from eventstore import codec
from queuectl.cli.ui import job_output
from queuectl.input import job_files
from tests.torture import fuzz
from tests.torture.faces import faces
from tests.torture.fuzz import FUZZ, tried
from tests.torture.proof import assert_holds
from tests.torture.targets import PURE, Broken, Target


@pytest.mark.sampled
def test_any_input_is_accepted_or_refused_with_a_message() -> None:
    assert_holds(FUZZ)


def test_the_same_seed_gives_the_same_inputs() -> None:
    def drawn() -> list[object]:
        return [
            target.attempt(Random(f"{target.name} 7 {n}"))[0] for target in PURE for n in range(9)
        ]

    assert drawn() == drawn()


def findings(name: str, amount: int = 2_000) -> list[str]:
    """Return the findings of a single target."""
    (target,) = (target._replace(share=1) for target in PURE if target.name == name)
    return tried([target], amount, 0).findings


def test_fuzzer_finds_an_unexpected_error_of_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "ChainBroken", KeyError)
    assert any("raises" in finding for finding in findings("events"))


def test_fuzzer_finds_events_that_change_when_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = codec.encode
    monkeypatch.setattr(codec, "encode", lambda event: encode(event).replace("a", "b"))
    assert findings("events")


def test_fuzzer_finds_a_crash_of_the_json_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        job_files, "_refuse_duplicate_keys", lambda text, keys: keys["command"].nothing
    )
    assert any("AttributeError" in finding for finding in findings("json", 500))


def test_fuzzer_finds_control_characters_in_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_output, "visible", lambda text, keep="": text)
    assert any("control characters" in finding for finding in findings("terminal"))


def test_fuzzer_finds_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "HANG_S", 0.05)

    def spins(draw: Random) -> tuple[object, Broken]:
        end = time.process_time() + 20
        while time.process_time() < end:
            draw.random()
        return None, None

    (hung,) = tried([Target("spins", 1, spins)], 1, 0).findings
    assert "hangs" in hung


def test_fuzzer_finds_a_refusal_that_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    with faces() as both:
        queue = both._queue

        def refuse_and_write(words: list[str], stdin: bytes) -> tuple[int, str]:
            queue.enqueue("true")
            return 4, "error: no\n"

        monkeypatch.setattr("tests.torture.faces._run", refuse_and_write)
        _, broken = both.command_line(Random(0))
    assert broken == "exit 4, but the log has grown"

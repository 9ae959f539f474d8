"""Long output is stored in files that are not synced: damage by a crash is reported."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ctl import Ctl

PRINTED = b"".join(b"line %05d\n" % number for number in range(20_000))
"""Output that is too long to be stored in the database."""

COMMAND = "for n in $(seq 0 19999); do printf 'line %05d\\n' $n; done"


def zeros(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(bytes(4096))


def longer(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"of something else\n" * 99)


NOT_KEPT = "[220 kB not kept]"
MISSING = "[the output that was kept is missing]"
DAMAGED = "[the output was damaged: this is not what the job printed]"

LEFT: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no folder": (lambda file: shutil.rmtree(file.parent), [NOT_KEPT, MISSING]),
    "no file": (lambda file: file.unlink(), [NOT_KEPT, MISSING]),
    "empty": (lambda file: os.truncate(file, 0), [NOT_KEPT, MISSING]),
    "cut short": (lambda file: os.truncate(file, 120_000), ["[100 kB not kept]", DAMAGED]),
    "zeros": (zeros, [DAMAGED]),
    "longer": (longer, []),
}


ENDS = ("[attempt 1 succeeded", "[job 1 is completed")
"""The line with which `logs -f` reports the end of an attempt."""


@pytest.fixture
def printed(ctl: Ctl) -> tuple[Ctl, str, Path]:
    """A job that has printed much, and its output file."""
    job = ctl.enqueue(COMMAND)
    ctl.drain()
    file = Path(f"{ctl.db}.d") / "outputs" / f"{job}.1" / "0"
    assert file.read_bytes() == PRINTED
    return ctl, job, file


@pytest.mark.parametrize("kind", LEFT)
def test_damage_of_long_output_by_a_crash_is_reported(
    printed: tuple[Ctl, str, Path], kind: str
) -> None:
    ctl, job, file = printed
    leave, expected = LEFT[kind]
    leave(file)
    for words in ((), ("-f",)):
        shown = ctl("logs", job, *words)
        notes = [line for line in shown.err.splitlines() if not line.startswith(ENDS)]
        assert notes == expected
        assert len(shown.out) <= len(PRINTED)
        if kind != "zeros":
            assert PRINTED.startswith(shown.out.encode())
    assert (
        len(ctl("logs", job, "--tail", "3").out) <= 3 * len("line 00000\n") or kind == "cut short"
    )


def test_other_files_in_place_of_the_output_are_not_shown(printed: tuple[Ctl, str, Path]) -> None:
    ctl, job, file = printed
    file.unlink()
    file.mkdir()
    assert ctl("logs", job).err.splitlines() == [NOT_KEPT, MISSING]
    shutil.rmtree(file.parent)
    file.parent.write_text("hello")
    assert ctl("logs", job).err.splitlines() == [NOT_KEPT, MISSING]

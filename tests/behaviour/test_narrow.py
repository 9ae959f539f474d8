"""A narrow terminal: important columns are kept, ids stay whole, and words are not broken."""

import pytest

from tests.behaviour.test_terminal import screen
from tests.ctl import Ctl
from tests.sampling import first_of

LONG = "x" * 100


def whole(lines: list[str], words: str) -> bool:
    """Return whether the words are in the lines, and none of them is broken."""
    printed = [word for line in lines for word in line.split()]
    expected = words.split()
    return any(printed[at : at + len(expected)] == expected for at in range(len(printed)))


def test_history_is_wrapped_by_words(ctl: Ctl) -> None:
    job = ctl.enqueue("exit 3", max_retries=1, backoff_base=0.1)
    ctl.drain()
    for columns in (40, 60, 80, 120):
        lines = screen(ctl, "history", job, columns=columns).lines
        for message in ("in 100ms (0.1 ** 1), retry 1 of 1", "retries used up (1 of 1)"):
            assert whole(lines, message), lines
        assert ("@" in "".join(lines)) == (columns >= 80)


def test_a_narrow_list_of_attempts_omits_the_least_important_columns(ctl: Ctl) -> None:
    ctl("enqueue", "--max-retries", "0", "--", "ffmpegx", "-i", "film.mov")
    ctl.drain()
    lines = screen(ctl, "show", "1", columns=60).lines
    assert whole(lines, "attempt worker began outcome")
    assert whole(lines, "ffmpegx: command not found")
    assert whole(lines, "retry k after 2 ** k seconds, at most 1h")
    wide = screen(ctl, "show", "1", columns=120).lines
    assert whole(wide, "attempt worker began outcome took cpu output")


def test_the_ids_of_workers_stay_whole(ctl: Ctl) -> None:
    name = "the-worker-of-anna-who-likes-long-names-and-gives-them"
    ctl.drain("--name", name)
    (worker,) = ctl("worker", "list", "--all").jobs
    for columns in (30, 60):
        lines = screen(ctl, "worker", "list", "--all", columns=columns).lines
        assert lines[1].split()[0] == worker
        assert "…" not in "".join(lines)


@pytest.mark.parametrize("columns", first_of([80, 160, 110], 2))
def test_a_uuid_stays_on_one_line(ctl: Ctl, columns: int) -> None:
    uuid = "0b0e7f0a-6a5f-4c59-9d0c-3f6f7a1c2d3e"
    command = "exit 3; " + "x" * 100
    ctl("enqueue", "--id", uuid, "--max-retries", "0", "--name", "n" * 50, "--", command)
    ctl("enqueue", "--max-retries", "0", "--cwd", "/no/such", "--", "true")
    ctl.drain()
    for words in (["list"], ["dlq", "list"]):
        lines = screen(ctl, *words, columns=columns).lines
        assert uuid in [line.split()[0] for line in lines], lines
        assert max(map(len, lines)) <= columns


@pytest.mark.parametrize("columns", first_of([40, 100, 60], 2))
def test_one_long_id_does_not_take_the_whole_list(ctl: Ctl, columns: int) -> None:
    ctl("enqueue", "--id", LONG, "--", "make film.mkv")
    ctl("enqueue", "--", "make clean")
    lines = screen(ctl, "list", columns=columns).lines
    assert all("make" in line for line in lines if "pending" in line)
    shown = [line for line in lines if not line.startswith("Queue: ")]
    assert "".join(shown).count("x") == 100
    assert ctl("list").jobs[1] == LONG


def test_an_empty_column_is_left_out(ctl: Ctl) -> None:
    ctl.enqueue("true")
    assert "next attempt" not in screen(ctl, "list").lines[0]
    ctl.enqueue("true", delay="1h")
    assert "next attempt" in screen(ctl, "list").lines[0]

"""A job's output on a terminal: text and colours, whatever pieces it comes in."""

import re

import pyte
from hypothesis import given
from hypothesis import strategies as st

from queuectl.cli.ui.job_output import TerminalSink

ACTING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def shown(*pieces: bytes, colours: bool = True) -> str:
    """Return everything that is printed for these pieces."""
    screened = TerminalSink(colours)
    return "".join([*map(screened.take, pieces), screened.end()])


def test_colours_and_lines_are_kept() -> None:
    assert shown(b"\x1b[31mred\x1b[0m\n\tend\n") == "\x1b[31mred\x1b[0m\n\tend\n\x1b[0m"
    assert shown(b"\x1b[38;5;8mgrey\x1b[m") == "\x1b[38;5;8mgrey\x1b[m\x1b[0m"
    assert shown("naïve 日本語\n".encode()) == "naïve 日本語\n"
    assert shown(b"\x1b[31mred\x1b[0m", colours=False) == "red"


def test_control_sequences_are_made_visible() -> None:
    assert shown(b"\x1b[2J\x1b]0;owned\x07") == "␛[2J␛]0;owned␇"
    assert shown(b"a\b\xff\xc2\x9b2J") == "a␈\\xff⟨U+009B⟩2J"
    assert shown(b"\x1b[8mhidden\x1b[1;8mtoo") == "hiddentoo"


def test_a_redrawn_line_is_printed_in_its_last_state() -> None:
    assert shown(b"above\n10 %\r20 %\r\nok\r") == "above\n20 %\nok"
    bar = b"".join(b"\r\x1b[K%d %%" % percent for percent in range(101)) + b"\ndone\n"
    assert shown(bar) == "100 %\ndone\n"
    assert shown(b"\x1b[31mred\x1b[0m\x1b[32m1\r2") == "\x1b[32m2\x1b[0m"
    assert shown(b"\r\r\n") == "\n"


def test_a_followed_line_is_replaced_as_it_changes() -> None:
    screen = pyte.Screen(20, 4)
    stream = pyte.Stream(screen)
    screened = TerminalSink(colours=True, live=True)
    for piece in (b"above\r\n1", b"0 %\r2", b"0 %", b"\r", b"\nnext", b" one\r\x1b[Klast"):
        stream.feed(screened.take(piece).replace("\n", "\r\n"))
        assert screen.display[0].strip() == "above"
    assert [line.strip() for line in screen.display] == ["above", "20 %", "last", ""]


def test_an_endless_line_is_printed_with_limited_memory() -> None:
    screened = TerminalSink(colours=True)
    printed = sum(len(screened.take(b"x" * 50_000)) for _ in range(100))
    assert printed > 4_800_000


def test_characters_split_between_pieces_are_joined() -> None:
    assert shown(b"\x1b", b"[3", b"1mred\r", b"\n", b"\xe2\x98", b"\x83") == (
        "\x1b[31mred\n☃\x1b[0m"
    )
    assert shown(b"half \xe2\x98") == "half \\xe2\\x98"
    assert shown(b"half \x1b[3") == "half ␛[3"


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_the_division_into_pieces_changes_nothing_and_no_control_character_is_left(
    pieces: list[bytes],
) -> None:
    whole = shown(b"".join(pieces))
    assert shown(*pieces) == whole
    assert not ACTING.search(COLOUR.sub("", whole))


@given(st.text(alphabet="\x1b[];:0123458mHJ\r\nab\u202e", max_size=60), st.integers(0, 60))
def test_only_colour_sequences_are_kept(text: str, cut: int) -> None:
    data = text.encode()
    assert shown(data[:cut], data[cut:]) == shown(data)
    assert not ACTING.search(COLOUR.sub("", shown(data)))

"""A job's output on a terminal: text and colours, whatever pieces it comes in."""

import re

from hypothesis import given
from hypothesis import strategies as st

from queuectl.cli.output import Screened

ACTING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def shown(*pieces: bytes, colours: bool = True) -> str:
    """All that is printed for these pieces."""
    screened = Screened(colours)
    return "".join([*map(screened.take, pieces), screened.end()])


def test_colours_and_lines_stay() -> None:
    assert shown(b"\x1b[31mred\x1b[0m\n\tend\n") == "\x1b[31mred\x1b[0m\n\tend\n\x1b[0m"
    assert shown(b"\x1b[38;5;8mgrey\x1b[m") == "\x1b[38;5;8mgrey\x1b[m\x1b[0m"
    assert shown("naïve 日本語\n".encode()) == "naïve 日本語\n"
    assert shown(b"\x1b[31mred\x1b[0m", colours=False) == "red"


def test_what_would_act_is_shown() -> None:
    assert shown(b"\x1b[2J\x1b]0;owned\x07") == "␛[2J␛]0;owned␇"
    assert shown(b"a\b\xff\xc2\x9b2J") == "a␈\\xff⟨U+009B⟩2J"
    assert shown(b"\x1b[8mhidden\x1b[1;8mtoo") == "hiddentoo"


def test_a_line_is_not_written_over() -> None:
    assert shown(b"10 %\r20 %\r\nok\r") == "10 %\n20 %\nok\n"


def test_what_comes_in_pieces_is_put_together() -> None:
    assert shown(b"\x1b", b"[3", b"1mred\r", b"\n", b"\xe2\x98", b"\x83") == (
        "\x1b[31mred\n☃\x1b[0m"
    )
    assert shown(b"half \xe2\x98") == "half \\xe2\\x98"
    assert shown(b"half \x1b[3") == "half ␛[3"


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_pieces_make_no_difference_and_nothing_acts(pieces: list[bytes]) -> None:
    whole = shown(b"".join(pieces))
    assert shown(*pieces) == whole
    assert not ACTING.search(COLOUR.sub("", whole))


@given(st.text(alphabet="\x1b[];:0123458mHJ\r\nab\u202e", max_size=60), st.integers(0, 60))
def test_no_sequence_but_a_colour_is_left(text: str, cut: int) -> None:
    data = text.encode()
    assert shown(data[:cut], data[cut:]) == shown(data)
    assert not ACTING.search(COLOUR.sub("", shown(data)))

"""Control characters in job texts are made visible."""

from hypothesis import given
from hypothesis import strategies as st

from queuectl.escape import visible


def test_control_characters_are_made_visible() -> None:
    assert visible("a\x1b[31m\x7f") == "a␛[31m␡"
    assert visible("\u202egpj.exe") == "⟨U+202E⟩gpj.exe"
    assert visible("\x9b31m\ud800") == "⟨U+009B⟩31m⟨U+D800⟩"


def test_line_breaks_are_kept_if_requested() -> None:
    assert visible("a\tb\nc\r") == "a␉b␊c␍"
    assert visible("a\tb\nc\r", keep="\n\t") == "a\tb\nc␍"


def test_ordinary_text_of_any_script_is_left_alone() -> None:
    for text in ("ls -l", "naïve café", "שלום", "日本語", "été 👩‍🔬"):
        assert visible(text) == text


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    shown = visible(text)
    assert all(c.isprintable() or c.isspace() or c in "\u200c\u200d" or ord(c) > 127 for c in shown)
    assert not set(map(chr, [*range(32), 127, *range(128, 160)])) & set(shown)
    assert visible(shown) == shown
    shown.encode()

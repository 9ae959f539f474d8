"""Escaping text of jobs: control characters are made visible, so that they have no effect."""

import re

# C0 controls have visible symbols at U+2400. The others are shown by their code point: C1 controls,
# line and paragraph separators, marks that reverse or hide text (such as RLO), lone surrogates, and
# tags (U+E0000 …), which are invisible.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str, keep: str = "") -> str:
    """Return `text` with all control characters made visible: ESC becomes `␛`.

    keep: characters to leave unchanged, such as newline in text of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(lambda match: match[0] if match[0] in keep else _symbol(match[0]), text)


def quoted(word: str) -> str:
    """Return a word as it must be typed in a shell: in quotes, if it needs them."""
    if re.fullmatch("[A-Za-z0-9_.@%+=:,/-]+", word):
        return word
    from shlex import quote

    return quote(word)


def for_errors(value: object) -> str:
    """Return a value for an error message: text as Python's repr, other values as JSON.

    The result is cut to 100 characters.
    """
    if isinstance(value, str):
        return f"{value!r:.100}"
    from json import dumps

    return f"{dumps(value, ensure_ascii=False, default=str):.100}"


def _symbol(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"⟨U+{code:04X}⟩"

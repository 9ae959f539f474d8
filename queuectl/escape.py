"""Job text made harmless for a terminal or a page: what would act on it is shown instead."""

import re

# C0 controls have pictures of their own at U+2400; the rest is named by its code point: C1
# controls, line and paragraph separators, marks that turn or hide text (RLO and kin), lone
# surrogates, and tags (U+E0000 …), which no font shows.
_ACTS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str, keep: str = "") -> str:
    """`text` with every character that acts rather than shows made visible: ESC is `␛`.

    keep: characters to leave as they are, such as newline where lines are meant.
    """
    if text.isascii() and text.isprintable():
        return text
    return _ACTS.sub(lambda found: found[0] if found[0] in keep else _picture(found[0]), text)


def quoted(word: str) -> str:
    """A word as it must be typed to a shell."""
    if re.fullmatch("[A-Za-z0-9_.@%+=:,/-]+", word):
        return word
    from shlex import quote

    return quote(word)


def as_written(value: object) -> str:
    """A value as the user wrote it, for an error: text in quotes, else JSON; the start of it."""
    if isinstance(value, str):
        return f"{value!r:.100}"
    from json import dumps

    return f"{dumps(value, ensure_ascii=False, default=str):.100}"


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"⟨U+{code:04X}⟩"

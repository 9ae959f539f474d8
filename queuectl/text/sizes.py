"""Sizes in bytes, to words and from words: `1.2 MB`, `512K`."""

import re

from ..errors import BadInput

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
# Compiled when first used: most commands name no size, and each import counts.
_SIZE = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([KMGTkmgt]?)(?:i?[Bb])?"
_FACTORS = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10, "": 1}


def size(count: int) -> str:
    """Bytes as `512 B`, `1.2 MB`, in powers of a thousand."""
    amount = float(count)
    for unit in _SIZES:
        if amount < 999.5 or unit == _SIZES[-1]:
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.3g} {unit}"


def size_bytes(text: str) -> int:
    """Bytes of a size; `K`, `M`, `G`, `T` are powers of 1024. Raises BadInput."""
    found = re.fullmatch(_SIZE, text.strip())
    if not found:
        raise BadInput(f"{text!r:.100} is not a size; write 4096, 512K, 10M or 2G")
    return round(float(found[1]) * _FACTORS[found[2].upper()])


def size_text(size: int) -> str:
    """The shortest exact way to write it: `size_bytes` of it is `size` again."""
    for letter, factor in _FACTORS.items():
        if size and size % factor == 0:
            return f"{size // factor}{letter}"
    return "0"

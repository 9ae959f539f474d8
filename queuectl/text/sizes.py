"""Format and parse sizes in bytes: `1.2 MB`, `512K`."""

import re

from ..errors import BadInput

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
# Compiled when first used: most commands name no size, and each import counts.
_SIZE = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([KMGTkmgt]?)(?:i?[Bb])?"
_FACTORS = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10, "": 1}


def size(count: int) -> str:
    """Format a number of bytes in powers of a thousand: `512 B`, `1.2 MB`."""
    amount = float(count)
    for unit in _SIZES:
        if amount < 999.5 or unit == _SIZES[-1]:
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.3g} {unit}"


def size_bytes(text: str) -> int:
    """Parse a size and return its bytes; `K`, `M`, `G`, `T` are powers of 1024. Raises BadInput."""
    match = re.fullmatch(_SIZE, text.strip())
    if not match:
        raise BadInput(f"{text!r:.100} is not a size; write 4096, 512K, 10M or 2G")
    return round(float(match[1]) * _FACTORS[match[2].upper()])


def size_text(size: int) -> str:
    """Return the shortest exact text of a size: `size_bytes` parses it back to `size`."""
    for letter, factor in _FACTORS.items():
        if size and size % factor == 0:
            return f"{size // factor}{letter}"
    return "0"

"""Where libfaketime is, which lets a real program's wall clock step."""

from pathlib import Path

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
"""To be preloaded; None where it is not installed."""

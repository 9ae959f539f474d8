"""What all tests share."""

import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.ctl import Ctl
from tests.faketime import FAKETIME

settings.register_profile("queuectl", deadline=None, print_blob=True)
settings.load_profile("queuectl")

# A shell that runs the tests in the background has it ignored, which every program would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
STRACE = shutil.which("strace")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Tests that need a program which is not there are left out, and the header says so."""
    missing = {
        "browser": CHROMIUM is None,
        "test_syscalls.py": STRACE is None,
        "test_time.py": FAKETIME is None,
    }
    return True if missing.get(collection_path.name) else None


def pytest_report_header() -> list[str]:
    return [
        f"browser: {CHROMIUM or 'no Chromium found, tests/browser is left out'}",
        f"strace: {STRACE or 'not found, tests/faults/test_syscalls.py is left out'}",
        f"libfaketime: {FAKETIME or 'not found, tests/faults/test_time.py is left out'}",
    ]


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    """The program, with an empty folder of its own."""
    return Ctl(tmp_path)

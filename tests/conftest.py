"""What all tests share."""

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from tests.ctl import Ctl

settings.register_profile("queuectl", deadline=None, print_blob=True)
settings.load_profile("queuectl")

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Without a browser the tests that need one are left out, and the header says so."""
    return True if CHROMIUM is None and collection_path.name == "browser" else None


def pytest_report_header() -> str:
    return f"browser: {CHROMIUM or 'no Chromium found, tests/browser is left out'}"


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    """The program, with an empty folder of its own."""
    return Ctl(tmp_path)

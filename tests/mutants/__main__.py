"""`make mutants`: plant each fault in a copy of the program and report which test catches it.

The first run has no fault: a test that fails without one proves nothing.
"""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from .faults import FAULTS, Fault

PROJECT = Path(__file__).parents[2]
FOLDERS = ("eventstore", "projections", "queuectl", "tests", "docs", "demo")
FILES = ("setup.cfg", "README.md")


class Caught(NamedTuple):
    """The result of a planted fault."""

    test: str | None
    """The first test that failed; None if all passed."""
    seconds: float


def main() -> int:
    """Print a table of all faults. Return 1 if one was not caught, or tests fail without one."""
    print("| planted fault | caught by | seconds |\n|---|---|---|", flush=True)
    tests = {test: None for fault in FAULTS for test in fault.tests}
    sound = report(Fault("none", (), tuple(tests))).test is None
    caught = sum(report(fault).test is not None for fault in FAULTS)
    print(f"\n{caught} of {len(FAULTS)} caught", flush=True)
    return 0 if sound and caught == len(FAULTS) else 1


def report(fault: Fault) -> Caught:
    """Run the tests of a fault and print its row of the table."""
    caught = hunt(fault)
    by = f"`{caught.test}`" if caught.test else "nothing"
    print(f"| {fault.name} | {by} | {caught.seconds:.0f} |", flush=True)
    return caught


def hunt(fault: Fault) -> Caught:
    """Plant `fault` in a copy and run the tests that it names, up to the first that fails."""
    began = time.monotonic()
    with TemporaryDirectory() as name:
        copy = Path(name)
        copy_with(fault, copy)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-n", "2", *fault.tests],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return Caught(failed[1] if failed else None, time.monotonic() - began)


def plant(fault: Fault, folder: Path) -> None:
    """Make its edits. Raises LookupError if a text is not exactly once in its file."""
    for file, old, new in fault.edits:
        text = (folder / file).read_text()
        if text.count(old) != 1:
            raise LookupError(f"{fault.name}: {file} holds {old!r} {text.count(old)} times")
        (folder / file).write_text(text.replace(old, new))


def copy_with(fault: Fault, folder: Path) -> None:
    """Copy the program and its tests, and plant the fault there."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    for name in FILES:
        shutil.copy(PROJECT / name, folder / name)
    plant(fault, folder)


if __name__ == "__main__":
    sys.exit(main())

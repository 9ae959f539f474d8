"""The fixtures, options and hooks of all tests."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.ctl import Ctl
from tests.machine import CHROMIUM, FAKETIME, STRACE, missing
from tests.places import SERVER
from tests.postgres import Server, installations, running
from tests.signals import reset_signals
from tests.torture.proof import PROVE

# Neither a slow machine nor a draw decides whether a test passes: each run tries the same examples.
# `pytest --hypothesis-profile explore` tries others.
for name, same in (("queuectl", True), ("explore", False)):
    settings.register_profile(
        name,
        deadline=None,
        print_blob=True,
        derandomize=same,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("queuectl")

os.environ.pop("PYTHONUNBUFFERED", None)  # users do not set it: output is buffered for them

reset_signals()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--prove", action="store_true", help="run the long proofs, in full, and nothing else"
    )

    parser.addoption(
        "--on-server",
        action="store_true",
        help="run the tests of commands and workers on a PostgreSQL server, and nothing else",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--prove"):
        os.environ[PROVE] = "1"
    if config.getoption("--on-server") and SERVER not in os.environ:  # else a worker of xdist
        _start_server(config)


def _start_server(config: pytest.Config) -> None:
    """Start a server for this run, which syncs nothing to disk."""
    if (name := next(iter(installations()), None)) is None:
        pytest.exit("not on this machine: a PostgreSQL server", returncode=0)
    server = ExitStack()
    config.add_cleanup(server.close)
    running_server = server.enter_context(running(name, "fsync=off", "max_connections=300"))
    os.environ[SERVER] = running_server.url("NAME")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the tests of this run: `proof` runs only with --prove, `sampled` always.

    The tests in a browser take a minute, so they count as proofs, except for a sample.
    """
    if config.getoption("--on-server"):
        _keep_those_of_commands(config, items)
        return
    prove = config.getoption("--prove")
    kept: list[pytest.Item] = []
    deselected: list[pytest.Item] = []
    for item in items:
        is_proof = bool(item.get_closest_marker("proof")) or item.path.parent.name == "browser"
        is_sampled = bool(item.get_closest_marker("sampled"))
        (kept if is_sampled or is_proof == prove else deselected).append(item)
    config.hook.pytest_deselected(items=deselected)
    items[:] = kept


def _keep_those_of_commands(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the tests whose queue may be in a file or on a server."""
    kept = [item for item in items if _may_be_on_server(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


OF_FILES = {
    "test_backup.py",
    "test_changed_outputs.py",
    "test_docs.py",
    "test_doctor.py",
    "test_early_log.py",
    "test_gone.py",
    "test_imports.py",
    "test_one_name.py",
    "test_restore.py",
    "test_service.py",
    "test_which_queue.py",
}
"""Modules whose subject is a queue file."""


def _may_be_on_server(item: pytest.Item) -> bool:
    is_proof = bool(item.get_closest_marker("proof"))
    uses_queue = bool({"ctl", "live"} & {*getattr(item, "fixturenames", ())})
    folder = item.path.parent.name
    if item.path.name in OF_FILES:
        return False
    is_of_commands = folder in ("behaviour", "worker", "dashboard")
    return uses_queue and not is_proof and (is_of_commands or item.path.name == "test_upgrade.py")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Use twice as many workers as there are cores: most tests wait for other processes."""
    cores = len(os.sched_getaffinity(0))
    return cores + 1 if config.getoption("--prove") else 2 * cores


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Skip tests that need a program that is not installed; the header lists them."""
    missing = {
        "browser": CHROMIUM is None,
        "test_syscalls.py": STRACE is None,
        "test_time.py": FAKETIME is None,
    }
    return True if missing.get(collection_path.name) else None


def pytest_report_header() -> list[str]:
    return [f"not on this machine: {line}" for line in missing()]


@pytest.fixture(scope="session")
def server_of() -> Iterator[Callable[[str], Server]]:
    """Return a function that returns the server of an installation. It syncs nothing to disk."""
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(running(name, "fsync=off")))


@pytest.fixture(scope="session")
def postgres(server_of: Callable[[str], Server]) -> Server:
    """The PostgreSQL server of the oldest installation. It syncs nothing to disk."""
    if not installations():
        pytest.skip("no PostgreSQL server is installed, or this user has no account name")
    return server_of(next(iter(installations())))


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    """`queuectl` with a new folder."""
    return Ctl(tmp_path)

"""The modules that a command loads: the frequent `enqueue` and `status` load only their own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ctl import Ctl

PROJECT = Path(__file__).parents[2]

LATE = ("flask", "apscheduler", "waitress", "rich", "importlib.metadata", "asyncio")

LOADED = (
    "import sys\n"
    "from queuectl.cli.main import main\n"
    "code = main(sys.argv[1:])\n"
    "sys.stderr.write(' '.join(sys.modules))\n"
    "sys.exit(code)"
)


def loaded(ctl: Ctl, *words: str) -> set[str]:
    """Return the modules in memory after `queuectl WORDS`."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words],
        env=ctl.env,
        cwd=ctl.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        ["enqueue", '{"command": "true"}'],
        ["enqueue", "--", "true"],
        ["status"],
        ["status", "--json"],
        ["list"],
        ["--version"],
    ],
)
def test_frequent_commands_load_nothing_heavy(ctl: Ctl, words: list[str]) -> None:
    ctl.enqueue("true")
    modules = loaded(ctl, *words)
    assert not {name for name in modules if name.startswith(LATE)}


EXPRESS = (
    "import sys\n"
    "from queuectl.entry import _run\n"
    "code = _run()\n"
    "sys.stderr.write(' '.join(sys.modules))\n"
    "sys.exit(code)"
)


@pytest.mark.parametrize(
    ("words", "spared"),
    [
        (["enqueue", '{"command": "true", "queue": "encodes"}'], True),
        (["enqueue", "--", "cp", "a", "b"], True),
        (["--db", "queue.db", "enqueue", "--", "true"], True),
        (["enqueue", "--db", "queue.db", "--", "true"], True),
        (["enqueue", "--db=queue.db", '{"command": "true"}'], True),
        (["enqueue", "--priority", "1", "--", "true"], False),
    ],
)
def test_one_job_into_a_pipe_is_enqueued_without_click(
    ctl: Ctl, words: list[str], spared: bool
) -> None:
    first = ctl.enqueue("true")
    done = subprocess.run(
        [sys.executable, "-c", EXPRESS, *words],
        env=ctl.env,
        cwd=ctl.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{int(first) + 1}\n"
    assert ("click" not in done.stderr.split()) == spared


def test_enqueue_loads_no_read_model_that_it_does_not_need(ctl: Ctl) -> None:
    ctl.enqueue("true")
    modules = loaded(ctl, "enqueue", "--", "true")
    unwanted = {
        "queuectl.json_shapes",
        "queuectl.event_wording",
        "queuectl.cli.ui.columns",
        "tempfile",
        "ssl",
    }
    assert not modules & unwanted


def test_only_the_session_appends_to_the_log() -> None:
    writers = {
        str(path.relative_to(PROJECT))
        for package in ("queuectl", "projections")
        for path in (PROJECT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "append"
        and ast.unparse(node.func.value).endswith("tx")
    }
    assert writers == {"queuectl/core/transaction.py"}

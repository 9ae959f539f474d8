"""The documents say what the program does, and its help shows what works as printed."""

import re
import shlex
import shutil
import subprocess
import sys

import click
import pytest

from docs import generate
from queuectl import exit_codes
from queuectl.cli.main import root
from tests.ctl import DEADLINE_S, PROGRAM, Ctl
from tests.torture.proofs import PROOFS

README = generate.FOLDER.parent / "README.md"
COMMANDS = dict(generate.walk(root, "queuectl"))
LEAVES = {
    path: command for path, command in COMMANDS.items() if not isinstance(command, click.Group)
}

GROFF = shutil.which("groff")


def examples(command: click.Command) -> list[str]:
    """Return the example lines of the help."""
    return [line.strip() for line in (command.epilog or "").splitlines() if "queuectl" in line]


def test_the_generated_documents_are_those_of_this_code() -> None:
    assert (generate.FOLDER / "commands.md").read_text() == generate.commands(), "run make docs"
    assert (generate.FOLDER / "events.md").read_text() == generate.events(), "run make docs"
    assert (generate.FOLDER / "json.md").read_text() == generate.answers(), "run make docs"
    assert (generate.FOLDER / "queuectl.1").read_text() == generate.manual(), "run make docs"


def test_the_manual_page_names_every_command_option_and_exit_code() -> None:
    page = generate.manual().replace("\\-", "-")
    for path, command in COMMANDS.items():
        assert path in page
        assert all(opt in page for param in command.params for opt in param.opts if opt[0] == "-")
    codes = {value for name, value in vars(exit_codes).items() if name.isupper()}
    assert codes == set(generate.EXIT_CODES)


@pytest.mark.skipif(GROFF is None, reason="groff is not installed")
def test_the_manual_page_is_sound_roff() -> None:
    assert GROFF is not None
    done = subprocess.run(
        [GROFF, "-man", "-ww", "-z", str(generate.FOLDER / "queuectl.1")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("path", COMMANDS)
def test_every_subcommand_has_a_sentence(path: str) -> None:
    sentence = (COMMANDS[path].help or "").strip()
    assert sentence.endswith(".")
    assert len(sentence) <= 75


@pytest.mark.parametrize("path", LEAVES)
def test_every_subcommand_shows_how_it_is_typed(path: str) -> None:
    shown = examples(LEAVES[path])
    assert 1 <= len(shown) <= 3
    assert all(path in line for line in shown)


@pytest.mark.parametrize("path", LEAVES)
def test_every_option_is_explained(path: str) -> None:
    for parameter in LEAVES[path].params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter


def test_the_python_example_of_the_readme_works_as_printed(ctl: Ctl) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (ctl.folder / "site").mkdir()
    (ctl.folder / "site" / "Makefile").write_text("all:\n\techo built\n")
    with ctl.worker():
        done = subprocess.run(
            [sys.executable, "-c", example],
            cwd=ctl.folder,
            env=ctl.env,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=True,
        )
    assert done.stdout.startswith("completed 0\n")
    assert "enqueued" in done.stdout


def test_a_head_is_saved_as_the_readme_says(ctl: Ctl) -> None:
    ctl.enqueue("true")
    (keeping,) = re.findall(
        r"^queuectl (status \| sed .*) > head", README.read_text(), re.MULTILINE
    )
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(PROGRAM)} {keeping}"],
        cwd=ctl.folder,
        env=ctl.env,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert ctl("verify", "--expect", done.stdout.strip()).code == 0
    assert ctl("verify", "--expect", f"1:{'0' * 64}", code=5).code == 5


def test_each_guarantee_names_an_existing_test() -> None:
    texts = [generate.FOLDER / "guarantees.md", generate.FOLDER.parent / "SECURITY.md"]
    promises = "".join(path.read_text() for path in texts)
    for path in re.findall(r"tests/[a-z_/]+\.py", promises):
        assert (README.parent / path).exists(), path
    named = set(re.findall(r"ONLY=(\w+)", promises))
    assert named == {proof.name for proof in PROOFS}


def test_links_between_documents_have_a_target() -> None:
    for path in [*README.parent.glob("*.md"), *generate.FOLDER.rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


NOT_TRIED = ("worker start", "worker forget", "dashboard", "logs", "wait", "service status")
"""Subcommands whose examples wait for events, or need a lost worker or systemd.

They have other tests.
"""

SHOWN = [
    line
    for path, command in LEAVES.items()
    if not path.endswith(NOT_TRIED)
    for line in examples(command)
    if "postgresql://" not in line
]


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Ctl:
    """A queue on which all examples are run in turn, and a backup of it."""
    ctl = Ctl(tmp_path_factory.mktemp("examples"))
    ctl.enqueue("true")
    ctl("backup", "nightly.db", "--head", "nightly.head")
    ctl.env["XDG_CONFIG_HOME"] = str(ctl.folder / "config")
    return ctl


@pytest.mark.parametrize("line", SHOWN)
def test_the_examples_of_the_help_work_as_printed(used: Ctl, line: str) -> None:
    if "cancel" in line:
        used.enqueue("true")
    elif "dlq" in line or "retry" in line:
        used.dead_job()
    program = f'queuectl() {{ {shlex.join(PROGRAM)} "$@"; }}'
    done = subprocess.run(
        ["bash", "-c", f"{program}\n{line}"],
        env=used.env,
        cwd=used.folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, "error" in done.stderr) == (0, False), done

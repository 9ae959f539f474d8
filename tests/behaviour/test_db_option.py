"""`--db` names the queue file before the subcommand or after it."""

import pytest

from eventstore.errors import OptionAsPath
from queuectl import Queue
from tests.behaviour.test_docs import COMMANDS
from tests.ctl import Ctl


@pytest.fixture
def ctl(ctl: Ctl) -> Ctl:
    """The program with a queue that only `--db` names."""
    del ctl.env["QUEUECTL_DB"]
    ctl.env["XDG_STATE_HOME"] = str(ctl.folder / "state")
    ctl("--db", "q.db", "enqueue", "--", "true")
    return ctl


@pytest.mark.parametrize("path", COMMANDS)
def test_every_subcommand_accepts_db(path: str) -> None:
    assert "db" in {param.name for param in COMMANDS[path].params}


@pytest.mark.parametrize(
    "words",
    [
        "enqueue --db q.db -- true",
        "enqueue --db=q.db -- true",
        "enqueue --priority 1 --db q.db -- true",
        """enqueue --db q.db {"command":"true"}""",
    ],
)
def test_enqueue_accepts_db_after_the_subcommand(ctl: Ctl, words: str) -> None:
    assert ctl(*words.split()).out == "2\n"
    assert not (ctl.folder / "state").exists()


@pytest.mark.parametrize(
    "words",
    [
        "list --db q.db",
        "list --db ./q.db --state pending",
        "--db q.db list --db q.db",
        "cancel 1 --db q.db",
    ],
)
def test_other_subcommands_accept_db_too(ctl: Ctl, words: str) -> None:
    assert "1\t" in ctl(*words.split()).out
    assert not (ctl.folder / "state").exists()


@pytest.mark.parametrize(
    "words", ["dlq list --db q.db", "dlq --db q.db list", "dlq list --db=q.db"]
)
def test_groups_and_their_subcommands_accept_db(ctl: Ctl, words: str) -> None:
    ctl("--db", "q.db", "enqueue", '{"command": "false", "max_retries": 0}')
    ctl("--db", "q.db", "worker", "start", "--until-empty")
    assert ctl(*words.split()).jobs == ["2"]


@pytest.mark.parametrize(
    "words",
    [
        "--db q.db list --db r.db",
        "--db q.db --db r.db list",
        "--db q.db enqueue --db r.db -- true",
        "--db q.db dlq --db r.db list",
    ],
)
def test_two_different_files_are_refused(ctl: Ctl, words: str) -> None:
    refused = ctl(*words.split(), code=2)
    assert refused.err.startswith("error: --db names two files, q.db and r.db; give one")
    assert not (ctl.folder / "r.db").exists()


def test_db_after_two_dashes_belongs_to_the_command(ctl: Ctl) -> None:
    ctl("enqueue", "--db", "q.db", "--", "echo", "--db", "r.db")
    assert ctl("list", "--db", "q.db").lines[0].endswith("echo --db r.db")


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("--db", "--db", "enqueue", "--", "true"), "--db"),
        (("--db=-q", "enqueue", "--", "true"), "-q"),
        (("list", "--db", "--json"), "--json"),
    ],
)
def test_an_option_is_not_taken_for_a_path(ctl: Ctl, words: tuple[str, ...], path: str) -> None:
    before = sorted(ctl.folder.iterdir())
    refused = ctl(*words, code=2)
    assert refused.err == (
        f"error: a queue file is not named like an option, as {path} is;"
        f" if you mean it, write ./{path}\n"
    )
    assert sorted(ctl.folder.iterdir()) == before


def test_neither_environment_nor_python_take_an_option_for_a_path(ctl: Ctl) -> None:
    assert "write ./--db" in ctl("enqueue", "--", "true", env={"QUEUECTL_DB": "--db"}, code=2).err
    with pytest.raises(OptionAsPath):
        Queue("--db")
    ctl("--db", "./--db", "enqueue", "--", "true")
    assert (ctl.folder / "--db").exists()

"""A changed output is compared with its digest in the log, and never passed on in silence."""

import shutil
from pathlib import Path

import pytest

from tests.behaviour.test_backup import LONG, at
from tests.behaviour.test_doctor import digests
from tests.ctl import Ctl
from tests.stranger import stranger

FORGED = "UPDATE outputs SET kept = CAST('all passed' AS BLOB) WHERE job = 'short'"
DELETED = "DELETE FROM outputs WHERE job = 'short'"
ADDED = "INSERT OR REPLACE INTO outputs VALUES ('silent', 1, 6, CAST('forged' AS BLOB))"

CHANGED_SHORT = "job short, attempt 1: its output (9 B) is not what position "
CHANGED_LONG = "job long, attempt 1: its output (589 kB) is not what position "
MISSING_SHORT = "job short, attempt 1: its output (9 B) is missing"
MISSING_LONG = "job long, attempt 1: its output (589 kB) is missing"
ADDED_SILENT = "job silent, attempt 1: it has an output, but the log has none of it"


@pytest.fixture
def worked(ctl: Ctl) -> Ctl:
    """A queue with a short output, a long one and none, and a backup of it."""
    ctl("enqueue", "--id", "short", "--max-retries", "0", "--", "sh", "-c", "echo 3 failed; false")
    ctl("enqueue", "--id", "long", "--", *LONG.split())
    ctl("enqueue", "--id", "silent", "--", "true")
    ctl.drain()
    ctl("backup", "monday.db", "--head", "monday.head")
    return ctl


def change(database: Path, statement: str) -> None:
    """Run a statement in a queue file, and leave no -wal."""
    stranger(str(database), statement)
    stranger(str(database), "PRAGMA wal_checkpoint(TRUNCATE)")


def long_output(database: Path) -> Path:
    """The file with the long output."""
    return Path(f"{database}.d") / "outputs" / "long.1" / "0"


def test_outputs_that_are_what_the_jobs_printed_pass(worked: Ctl) -> None:
    assert worked("verify", "--outputs").out.startswith("ok: ")
    assert "outputs\tall match the log" in worked("doctor", "--deep").out
    assert worked("backup", "tuesday.db", "--json").json["problems"] == []
    assert worked("restore", "monday.db", "--json").json["problems"] == []


@pytest.mark.parametrize("words", [[], ["--dry-run"]], ids=str)
@pytest.mark.parametrize(("statement", "problem"), [(FORGED, CHANGED_SHORT), (ADDED, ADDED_SILENT)])
def test_backup_with_a_changed_short_output_is_refused(
    worked: Ctl, statement: str, problem: str, words: list[str]
) -> None:
    backup = worked.folder / "monday.db"
    change(backup, statement)
    before = digests(worked.folder)
    error = worked("restore", *words, "monday.db", "--expect", "@monday.head", code=5).err
    assert error.startswith(f"error: {backup} is damaged: {problem}")
    assert "restore another backup; nothing was changed" in error
    assert error.count("\n") == 1
    assert digests(worked.folder) == before


@pytest.mark.parametrize("content", ["x" * 588_895, "forged\n"], ids=["same size", "shorter"])
def test_backup_with_a_changed_long_output_is_refused_until_that_is_removed(
    worked: Ctl, content: str
) -> None:
    file = long_output(worked.folder / "monday.db")
    assert file.stat().st_size == 588_895
    file.write_text(content)
    before = digests(worked.folder)
    error = worked("restore", "monday.db", code=5).err
    assert CHANGED_LONG in error
    assert f"or remove {file.parent} to restore without it" in error
    assert digests(worked.folder) == before
    shutil.rmtree(file.parent)
    assert MISSING_LONG in worked("restore", "monday.db").err
    assert worked("verify").code == 0
    assert MISSING_LONG in worked("verify", "--outputs", code=5).out


def test_backup_leaves_changed_outputs_out_and_says_so(worked: Ctl) -> None:
    change(worked.db, FORGED)
    change(worked.db, ADDED)
    long_output(worked.db).write_text("forged\n")
    done = worked("backup", "tuesday.db", "--head", "tuesday.head", code=5)
    head = (worked.folder / "tuesday.head").read_text()
    assert done.out == head
    for problem in (CHANGED_SHORT, CHANGED_LONG, ADDED_SILENT):
        (line,) = [line for line in done.err.splitlines() if line.startswith(problem)]
        assert line.endswith("; it was left out")
    copy = at(worked, worked.folder / "tuesday.db")
    assert copy("logs", "short").out == copy("logs", "long").out == copy("logs", "silent").out == ""
    worked("restore", "tuesday.db", "--expect", head.strip())
    told = worked("verify", "--outputs", code=5).out.splitlines()
    assert sorted(told) == [MISSING_LONG, MISSING_SHORT]
    assert worked("replay", "--check").code == 0


def test_backup_goes_on_without_outputs_that_are_missing(worked: Ctl) -> None:
    """Nothing false is passed on, and nightly backups must not fail permanently."""
    change(worked.db, DELETED)
    shutil.rmtree(long_output(worked.db).parent)
    done = worked("backup", "tuesday.db")
    assert sorted(done.err.splitlines()[1:]) == [MISSING_LONG, MISSING_SHORT]
    shown = worked("backup", "--force", "tuesday.db", "--json").json
    assert sorted(shown["problems"]) == [MISSING_LONG, MISSING_SHORT]
    told = worked("restore", "tuesday.db").err.splitlines()
    assert sorted(told[-2:]) == [MISSING_LONG, MISSING_SHORT]


def test_backup_that_is_replaced_gives_its_copy_of_a_lost_output_to_the_new_one(
    worked: Ctl,
) -> None:
    long_output(worked.db).write_text("forged\n")
    assert CHANGED_LONG in worked("backup", "--force", "monday.db", code=5).err
    assert worked("restore", "monday.db").err.count("\n") == 2
    assert worked("verify", "--outputs").code == 0
    assert worked("logs", "long").out.endswith("100000\n")


def test_verify_and_doctor_name_changed_outputs(worked: Ctl) -> None:
    long_output(worked.db).write_text("forged\n")
    assert worked("verify").code == 0  # files are checked if that is asked for
    assert CHANGED_LONG in worked("verify", "--outputs", code=5).out
    change(worked.db, FORGED)
    assert worked("verify", code=5).out.startswith(CHANGED_SHORT)
    answer = worked("verify", "--outputs", "--json", code=5).json
    assert not answer["sound"]
    assert len(answer["problems"]) == 2
    assert "problem\toutputs\t2 changed; the first: job " in worked("doctor", "--deep", code=1).out
    change(worked.db, DELETED)
    shutil.rmtree(long_output(worked.db).parent)
    assert worked("verify", code=5).out.strip() == MISSING_SHORT
    assert "note\toutputs\t2 missing; the first" in worked("doctor", "--deep").out


def test_logs_says_that_a_short_output_was_changed_or_is_missing(worked: Ctl) -> None:
    change(worked.db, FORGED)
    change(worked.db, ADDED)
    damaged = "[the output was damaged: this is not what the job printed]\n"
    assert worked("logs", "short").err == worked("logs", "silent").err == damaged
    change(worked.db, DELETED)
    missing = worked("logs", "short")
    assert (missing.out, missing.err) == ("", "[the output that was kept is missing]\n")

"""`replay` and `verify` as typed, also after the file was tampered with."""

import os
import sqlite3

import pytest

from eventstore.sqlite.schema import TRIGGERS
from tests.ctl import Ctl


@pytest.fixture
def worked(ctl: Ctl) -> Ctl:
    """A queue with a completed and a dead job."""
    ctl.enqueue("true")
    ctl.dead_job()
    return ctl


def by_hand(ctl: Ctl, *statements: str) -> None:
    with sqlite3.connect(ctl.db) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


GUARDS = ("events_never_change", "events_never_go")
OPENED = tuple(f"DROP TRIGGER {name}" for name in GUARDS)


def test_a_sound_queue_passes_verify_and_replay(worked: Ctl) -> None:
    assert worked("replay", "--check").out.startswith("ok: ")
    assert worked("verify").out.startswith("ok: ")
    assert worked("verify", "--json").json["sound"]
    assert worked("replay", "--check", "--json").json["differences"] == []


def test_a_changed_view_is_reported_and_repaired(worked: Ctl) -> None:
    by_hand(worked, "UPDATE jobs SET state = 'completed' WHERE id = '2'")
    checked = worked("replay", "--check", code=5)
    assert "'completed' is 'dead'" in checked.out
    assert worked("replay", "--check", "--json", code=5).json["differences"][0]["table"] == "jobs"
    worked("replay")
    assert worked("replay", "--check").code == 0
    assert worked.show("2")["state"] == "dead"


def test_additional_and_missing_rows_are_distinguished(worked: Ctl) -> None:
    by_hand(
        worked,
        "DELETE FROM runs WHERE attempt = 1 AND born = (SELECT min(born) FROM runs)",
        "INSERT INTO settings VALUES ('jitter', 1, 1, 0, 'eve')",
    )
    message = worked("replay", "--check", code=5).out
    assert ": missing" in message
    assert "settings jitter: should not be there" in message


def test_the_log_cannot_be_changed_by_accident(worked: Ctl) -> None:
    for statement in ("UPDATE events SET actor = 'eve'", "DELETE FROM events"):
        with pytest.raises(sqlite3.IntegrityError, match="events are never"):
            by_hand(worked, statement)


def test_a_changed_event_is_named(worked: Ctl) -> None:
    by_hand(worked, *OPENED, "UPDATE events SET actor = 'eve' WHERE position = 3")
    message = worked("verify", code=5).out
    assert "position 3: its content does not match its hash" in message
    assert "trigger events_never_change" in message
    assert worked("verify", "--json", code=5).json["broken_at"] == 3


def test_a_missing_event_is_named(worked: Ctl) -> None:
    by_hand(worked, *OPENED, "DELETE FROM events WHERE position = 3")
    assert "position 3: missing" in worked("verify", code=5).out


def test_a_saved_head_reveals_a_truncated_log(worked: Ctl) -> None:
    kept = worked("status", "--json").json
    expected = f"{kept['position']}:{kept['head_hash']}"
    assert worked("verify", "--expect", expected).code == 0
    tail = f"DELETE FROM events WHERE position = {kept['position']}"
    by_hand(worked, *OPENED, tail, *(TRIGGERS[name].strip() for name in GUARDS))
    assert worked("verify").code == 0
    assert "missing" in worked("verify", "--expect", expected, code=5).out
    assert "is not a head" in worked("verify", "--expect", "12", code=2).err


@pytest.mark.parametrize("words", [["verify"], ["replay"], ["replay", "--check"]], ids=" ".join)
def test_a_missing_queue_does_not_pass_verify(ctl: Ctl, words: list[str]) -> None:
    """A nightly check must not succeed after the file was deleted, whatever named it."""
    assert not ctl.db.exists()
    for environment in ({}, {"QUEUECTL_DB": "", "XDG_STATE_HOME": str(ctl.folder)}):
        assert "no queue at" in ctl(*words, code=6, env=environment).err
    assert os.listdir(ctl.folder) == []

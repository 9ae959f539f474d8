"""Hints work as printed, for the queue that they are about."""

import re
import shlex
from pathlib import Path

import pytest

from queuectl.dashboard.app import create_app
from tests.behaviour.test_terminal import screen
from tests.ctl import Ctl


@pytest.fixture
def named(tmp_path: Path) -> Ctl:
    """A queue that only --db names, in a folder whose name a shell would split."""
    folder = tmp_path / "two words"
    folder.mkdir()
    ctl = Ctl(folder)
    ctl.dead_job()
    elsewhere = Ctl(tmp_path)
    elsewhere.db = ctl.db
    return elsewhere


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("enqueue -- true", 0),
        ("list --limit 1", 0),
        ("list --state scheduled", 0),
        ("show 1", 0),
        ("show 7", 3),
        ("history 1", 0),
        ("status", 0),
        ("dlq list", 0),
        ("worker list", 0),
        ("worker stop nobody", 3),
        ("dlq retry 2", 4),
    ],
)
def test_every_hint_names_the_queue_that_was_named(named: Ctl, words: str, code: int) -> None:
    named("--db", str(named.db), "enqueue", "--", "true")
    printed = screen(named, "--db", str(named.db), *words.split(), columns=400, code=code).lines
    lines = [hint for line in printed for hint in re.findall(r"queuectl .*", line)]
    assert lines or words == "list --state scheduled"
    for line in lines:
        for hint in line.split(" · "):
            assert f"queuectl --db {shlex.quote(str(named.db))} " in hint


def test_hints_do_not_name_a_queue_that_is_found_by_default(ctl: Ctl) -> None:
    assert "queuectl worker start" in screen(ctl, "enqueue", "--", "true").lines[-1]


def test_hints_of_a_worker_name_the_queue_too(named: Ctl) -> None:
    path = str(named.db)
    named("--db", path, "enqueue", '{"command": "false", "max_retries": 0}')
    message = named("--db", path, "worker", "start", "--until-empty", "--verbose").err
    assert f"see queuectl --db {shlex.quote(path)} dlq list" in message


def test_a_list_with_more_pages_prints_the_next_command(ctl: Ctl) -> None:
    ctl("enqueue", "--file", "-", stdin='{"command": "true", "queue": "encodes"}\n' * 60)
    first = ctl("list", "--queue", "encodes")
    assert len(first.lines) == 50
    hint = first.err.removeprefix("more: ").removesuffix(", or --all\n")
    assert hint.startswith("queuectl list --queue encodes --after ")
    assert (rest := ctl(*shlex.split(hint)[1:])).jobs == [str(n) for n in range(10, 0, -1)]
    assert rest.err == ctl("list", "--all").err == ""
    assert "more: " in ctl("list", "--jsonl").err
    assert ctl("list", "--json").err == ""
    page = ctl("list", "--limit", "20", "--after", "52")
    assert page.err.count("--after") == 1


def test_a_page_names_the_queue_that_another_shell_would_not_find(
    ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctl.dead_job()
    monkeypatch.setenv("QUEUECTL_DB", str(ctl.db))
    client = create_app(ctl.place).test_client()
    assert f"queuectl dlq retry 1 --db {ctl.db}" in client.get("/jobs/1").text
    monkeypatch.delenv("QUEUECTL_DB")
    monkeypatch.setenv("XDG_STATE_HOME", str(ctl.folder))
    own = ctl.folder / "queuectl"
    own.mkdir()
    assert "queuectl enqueue -- " in create_app(str(own / "queue.db")).test_client().get("/").text

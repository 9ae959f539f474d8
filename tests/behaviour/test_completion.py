"""The completions that a real bash offers when Tab is pressed."""

import shlex
import subprocess
from collections.abc import Callable

import pytest

from tests.ctl import DEADLINE_S, PROGRAM, Ctl

TAB = r"""
{source}
complete_at() {{
    COMP_LINE=$1 COMP_POINT=${{#1}}
    compopt() {{ echo "files: $2"; }}
    _queuectl_completion {program}
    printf '%s\n' "${{COMPREPLY[@]}}"
}}
complete_at {line}
"""

Tab = Callable[[str], list[str]]


@pytest.fixture
def tab(ctl: Ctl) -> Tab:
    """Return what bash shows after a line was typed and Tab was pressed."""
    wrapper = ctl.folder / "queuectl"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
    wrapper.chmod(0o755)
    source = ctl(env={"_QUEUECTL_COMPLETE": "bash_source"}, code=None).out

    def offered(line: str) -> list[str]:
        script = TAB.format(source=source, program=wrapper, line=shlex.quote(line))
        done = subprocess.run(
            ["bash", "--norc", "-c", script],
            env=ctl.env,
            cwd=ctl.folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.stderr == ""
        return [word for word in done.stdout.splitlines() if word]

    return offered


@pytest.fixture
def filled(ctl: Ctl) -> Ctl:
    """A queue with a dead and a pending job, tags, a queue and a changed setting."""
    ctl("enqueue", '{"id": "gone", "command": "false", "max_retries": 0, "queue": "encodes"}')
    ctl.drain()
    ctl("enqueue", '{"id": "my film", "command": "true", "tags": {"album": "a b", "x": "1"}}')
    ctl("enqueue", '{"command": "true"}')
    return ctl


def test_subcommands_and_options_are_offered(tab: Tab) -> None:
    assert tab("queuectl wor") == ["worker"]
    assert tab("queuectl worker st") == ["start", "stop"]
    assert tab("queuectl list --st") == ["--state"]
    assert tab("queuectl list --state pr") == ["processing"]
    assert tab("queuectl config get back") == ["backoff-base", "backoff-max"]
    assert "enqueue" in tab("queuectl ")
    assert tab("queuectl enqueue --background ") == ["end", "keep"]
    assert tab("queuectl help wor") == ["worker"]
    assert tab("queuectl help worker st") == ["start", "stop"]
    assert tab("queuectl help worker start ") == []


def test_ids_queues_and_tags_come_from_the_queue(filled: Ctl, tab: Tab) -> None:
    assert tab("queuectl show ") == ["1", "'my film'", "gone"]
    assert tab("queuectl show g") == ["gone"]
    assert tab("queuectl cancel ") == ["1", "'my film'"]
    assert tab("queuectl dlq retry ") == ["gone"]
    assert tab("queuectl list --queue e") == ["encodes"]
    assert tab("queuectl list -q ") == ["default", "encodes"]
    assert tab("queuectl list --tag ") == ["'album=a b'", "x=1"]
    assert tab("queuectl list --tag x=") == ["1"]
    assert tab("queuectl dlq list --cause ") == ["'exit 1'"]
    assert tab("queuectl dlq retry --cause t") == []
    assert filled("verify").code == 0


def test_completion_uses_the_queue_named_by_db(filled: Ctl, tab: Tab) -> None:
    filled("--db", "other.db", "enqueue", "--id", "elsewhere", "--", "true")
    assert tab("queuectl --db other.db show ") == ["elsewhere"]
    assert tab("queuectl show --db other.db ") == ["elsewhere"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("queuectl enqueue --file jo", ["files: default"]),
        ("queuectl --db q", ["files: default"]),
        ("queuectl list --db q", ["files: default"]),
        ("queuectl enqueue --cwd ", ["files: dirnames"]),
        ("queuectl backup mon", ["files: default"]),
        ("queuectl enqueue -- ./bui", ["files: default"]),
        ("queuectl enqueue -- cat jo", ["files: default"]),
        ("queuectl enqueue -- cat --fi", ["files: default"]),
        ("queuectl enqueue -- xyzzy-no-such", ["files: default"]),
    ],
)
def test_file_names_are_left_to_the_shell(tab: Tab, line: str, offered: list[str]) -> None:
    assert tab(line) == offered


def test_programs_are_offered_after_two_dashes(tab: Tab) -> None:
    assert "sleep" in tab("queuectl enqueue -- slee")


def test_without_a_queue_nothing_is_offered_and_none_is_created(ctl: Ctl, tab: Tab) -> None:
    assert tab("queuectl show ") == []
    assert not ctl.db.exists()
    ctl.db.write_text("no queue")
    assert tab("queuectl show ") == []
    assert ctl.db.read_text() == "no queue"


def test_hostile_words_are_text_on_the_line(ctl: Ctl, tab: Tab) -> None:
    ids = ["x`touch owned`", "x$(touch owned)", "x;touch owned", "a*", "it's", "back\\slash"]
    for job_id in ids:
        ctl("enqueue", "--id", job_id, "--", "true")
    ctl("enqueue", "--tag", "a=$(touch owned)", "--tag", "b=\x1b[2J\n$(touch owned)", "--", "true")
    offered = [shlex.split(word) for word in tab("queuectl show ")]
    assert offered == [["1"], *([job_id] for job_id in reversed(ids))]
    assert tab("queuectl list --tag ") == ["'a=$(touch owned)'"]
    assert tab("queuectl list --tag a=") == ["'$(touch owned)'"]
    assert tab("queuectl list --tag b") == []
    assert not (ctl.folder / "owned").exists()

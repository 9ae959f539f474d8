"""Two hundred hostile texts change no cursor, title, mode or colour of a terminal."""

import re
import sys

import pexpect
import pyte
import pytest

from queuectl.api import Queue
from queuectl.escape import visible
from tests.at_terminal import ended
from tests.browser.scene import Scene
from tests.ctl import DEADLINE_S, Ctl
from tests.hostile import texts
from tests.sampling import first_of

TEXTS = texts()
ROWS, COLUMNS = 4_000, 100
OURS = re.compile(rb"\x1b\[[0-9;]*m")
"""The only control sequences that answers contain: colours."""

LOOP = """
import sys
from queuectl.cli.main import main
for number in range(1, {count} + 1):
    main([{words}, str(number)])
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Ctl:
    """A queue of dead jobs, with the texts in all their fields and outputs."""
    ctl = Ctl(tmp_path_factory.mktemp("hostile"))
    scene = Scene(ctl.db, 1_790_000_000_000_000)
    scene.worker("3f2a", 2, "\x1b[2Jworkshop\x07")
    for text in TEXTS:
        short = text[:900]
        job = scene.queue.enqueue(text, name=short, tags={"tag": short}, max_retries=0)
        scene.claim(job.id)
        scene.finish(job.id, 1, output=f"{text}\n", error=short)
    scene.queue.close()
    return ctl


def at_terminal(ctl: Ctl, *argv: str) -> tuple[pyte.Screen, bytes]:
    """Return the screen after a program, and everything that it wrote."""
    child = pexpect.spawn(
        sys.executable,
        list(argv),
        cwd=str(ctl.folder),
        env={**ctl.env, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)},
        dimensions=(ROWS, COLUMNS),
        timeout=DEADLINE_S,
    )
    ended(child)
    screen = pyte.Screen(COLUMNS, ROWS)
    pyte.ByteStream(screen).feed(child.before)
    return screen, child.before


def assert_unmoved(screen: pyte.Screen, raw: bytes) -> None:
    """Check that only text, line ends and the colours of the program reached the terminal."""
    text = OURS.sub(b"", raw).decode().replace("\r\n", "\n")
    assert visible(text, keep="\n\t") == text
    fresh = pyte.Screen(COLUMNS, ROWS)
    assert (screen.title, screen.icon_name) == ("", "")
    assert screen.mode == fresh.mode
    assert screen.margins == fresh.margins
    assert (screen.g0_charset, screen.charset) == (fresh.g0_charset, fresh.charset)
    assert screen.cursor.x == 0
    assert screen.cursor.attrs == fresh.cursor.attrs
    assert not screen.cursor.hidden


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--all"],
        ["dlq", "list", "--all"],
        ["events", "--since", "@0"],
        ["worker", "list"],
        ["status"],
        ["doctor"],
        ["list", "--state", "pending", "--queue", "\x1b[2J\x07"],
        ["show", "\x1b]0;owned\x07"],
        ["\x1b[2J"],
        ["config", "set", "\x1b[2J", "1"],
        ["enqueue", "--dry-run", "--tag", "a=\x1b[2J", "--", "\x1b]0;owned\x07"],
    ],
)
def test_no_answer_contains_control_characters_of_a_job(hostile: Ctl, words: list[str]) -> None:
    assert_unmoved(*at_terminal(hostile, "-m", "queuectl", *words))


@pytest.mark.parametrize("words", first_of(["'show'", "'logs'", "'history'", "'dlq', 'show'"], 2))
def test_no_answer_about_one_job_contains_its_control_characters(hostile: Ctl, words: str) -> None:
    program = LOOP.format(count=len(TEXTS), words=words)
    screen, raw = at_terminal(hostile, "-c", program)
    assert_unmoved(screen, raw)
    assert raw.count(b"\n") >= len(TEXTS)


def test_every_text_is_shown(hostile: Ctl) -> None:
    with Queue(hostile.db) as queue:
        for number, text in enumerate(TEXTS, 1):
            assert queue.get(str(number)).spec.command == text
    lines = hostile("list", "--all").lines
    for text, line in zip(TEXTS, reversed(lines), strict=True):
        assert visible(text) in line


def test_the_check_detects_control_characters(hostile: Ctl) -> None:
    """The control: the texts are printed unchanged."""
    for text in ("\x1b]0;owned\x07", "\x1b[?25l", "\x1b[5A", "\u202e"):
        with pytest.raises(AssertionError):
            assert_unmoved(*at_terminal(hostile, "-c", f"print({text!r})"))

"""Two hundred hostile texts in a real browser: no script runs, and all texts are shown."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from queuectl.escape import visible
from tests.browser.scene import Scene
from tests.hostile import texts
from tests.served import Served, served

TEXTS = texts()
CHUNK = 25
BEGAN_US = time.time_ns() // 1000 - 600_000_000
"""When the history of both queues began: the same, so that both charts have the same bars."""

TAGS = """() => {
  const count = {};
  for (const element of document.querySelectorAll("*")) {
    if (element.closest(".output *")) continue;
    count[element.tagName] = (count[element.tagName] || 0) + 1;
  }
  return count;
}"""
"""Counts the elements of each kind, except the coloured parts of an output."""

SHOWN = "(s) => [...document.querySelectorAll(s)].map(element => element.textContent)"


def create_queue(path: Path, commands: list[str]) -> None:
    """Create a queue of dead jobs with these texts in all fields that a job can set."""
    scene = Scene(path, BEGAN_US)
    scene.worker("3f2a", 2, "workshop")
    for text in commands:
        short = text[:900]
        job = scene.queue.enqueue(
            text, name=short, tags={"tag": short}, env={"V": text}, max_retries=0
        )
        scene.after(1_000)
        scene.claim(job.id)
        scene.finish(job.id, 1, output=f"{text}\n", error=short)
        scene.after(1_000)
    scene.queue.close()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard of the hostile queue."""
    path = tmp_path_factory.mktemp("hostile") / "queue.db"
    create_queue(path, TEXTS)
    with served(path) as server:
        yield server


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard of the same queue with the word `true` instead of each text."""
    path = tmp_path_factory.mktemp("harmless") / "queue.db"
    create_queue(path, ["true"] * len(TEXTS))
    with served(path) as server:
        yield server


def tags(page: Page, address: str) -> object:
    """Return the count of elements of a page after its scripts have run."""
    page.goto(address)
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    if "/jobs/" in address:
        expect(page.locator("html")).to_have_attribute("data-output", "on")
    return page.evaluate(TAGS)


def assert_not_interpreted(page: Page) -> None:
    """Assert that no text was interpreted."""
    assert page.evaluate("window.owned") is None
    assert "owned" not in page.title().replace("document.title='owned'", "").lower()
    shown = page.evaluate("document.documentElement.outerHTML")
    assert visible(shown, keep="\n\t") == shown.replace("\r", "")


def as_lines(text: str) -> str:
    """Return text of several lines as a page shows it: control characters become visible."""
    return visible(text.replace("\r\n", "\n"), keep="\n\t")


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=pytest.mark.proof if first else ())
        for first in range(0, len(TEXTS), CHUNK)
    ],
)
def test_no_text_of_a_job_is_interpreted_on_its_page(
    hostile: Served, harmless: Served, page: Page, first: int
) -> None:
    expected = tags(page, f"{harmless.address}/jobs/1")
    for number, text in enumerate(TEXTS[first : first + CHUNK], first + 1):
        shown = tags(page, f"{hostile.address}/jobs/{number}")
        assert shown == expected, f"elements appeared for {text!r}"
        assert_not_interpreted(page)
        assert page.evaluate(SHOWN, ".shell code") == [as_lines(text)], repr(text)
        (printed,) = page.evaluate(SHOWN, "pre.output")
        assert "\x1b" not in printed
        if "\x1b" not in text:
            assert printed == as_lines(f"{text}\n"), repr(text)


@pytest.mark.parametrize("address", ["/", "/jobs?limit=200", "/dlq?limit=200", "/events?limit=500"])
def test_no_text_of_a_job_is_interpreted_in_a_list(
    hostile: Served, harmless: Served, page: Page, address: str
) -> None:
    assert tags(page, hostile.address + address) == tags(page, harmless.address + address)
    page.goto(hostile.address + address)
    assert_not_interpreted(page)


def test_a_script_that_ran_would_be_noticed(page: Page) -> None:
    """The control: a page that contains such a text without escaping."""
    page.set_content(f"<main>{TEXTS[0]}</main>")
    assert page.evaluate("window.owned") == 1
    with pytest.raises(AssertionError):
        assert_not_interpreted(page)


def test_hostile_addresses_are_shown_as_text(hostile: Served, page: Page) -> None:
    from urllib.parse import quote

    for text in TEXTS[:60]:
        for place in ("/jobs?q=", "/jobs?queue=", "/jobs?tag=", "/events?stream=", "/events?type="):
            answer = page.request.get(hostile.address + place + quote(text[:500]))
            assert answer.status in (200, 400), (place, text)
            assert "<script>window" not in answer.text()
    page.goto(f"{hostile.address}/jobs?q={quote(TEXTS[0])}")
    assert_not_interpreted(page)

"""Two hundred hostile texts in a real browser: no script runs, nothing appears, all is shown."""

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

TAGS = """() => {
  const count = {};
  for (const one of document.querySelectorAll("*")) {
    if (!one.closest(".output *")) count[one.tagName] = (count[one.tagName] || 0) + 1;
  }
  return count;
}"""
"""How many elements there are of each kind, but for the colours of an output."""

SHOWN = "(s) => [...document.querySelectorAll(s)].map(one => one.textContent)"


def queue_of(path: Path, commands: list[str]) -> None:
    """A queue of dead jobs, the texts in all that a job may say of itself."""
    scene = Scene(path, time.time_ns() // 1000 - 600_000_000)
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
    queue_of(path, TEXTS)
    with served(path) as server:
        yield server


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard of the same queue with the word `true` for each text."""
    path = tmp_path_factory.mktemp("harmless") / "queue.db"
    queue_of(path, ["true"] * len(TEXTS))
    with served(path) as server:
        yield server


def tags(page: Page, address: str) -> object:
    """The elements of a page, once its scripts have run."""
    page.goto(address)
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    return page.evaluate(TAGS)


def assert_unmoved(page: Page) -> None:
    """No text was taken for more than text."""
    assert page.evaluate("window.owned") is None
    assert "owned" not in page.title().replace("document.title='owned'", "").lower()
    shown = page.evaluate("document.documentElement.outerHTML")
    assert visible(shown, keep="\n\t") == shown.replace("\r", "")


def as_lines(text: str) -> str:
    """As a page shows text of several lines: all of it, and what acts as its picture."""
    return visible(text.replace("\r\n", "\n"), keep="\n\t")


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=pytest.mark.proof if first else ())
        for first in range(0, len(TEXTS), CHUNK)
    ],
)
def test_no_job_text_is_more_than_text(
    hostile: Served, harmless: Served, page: Page, first: int
) -> None:
    expected = tags(page, f"{harmless.address}/jobs/1")
    for number, text in enumerate(TEXTS[first : first + CHUNK], first + 1):
        found = tags(page, f"{hostile.address}/jobs/{number}")
        assert found == expected, f"elements appeared for {text!r}"
        assert_unmoved(page)
        assert page.evaluate(SHOWN, ".shell code") == [as_lines(text)], repr(text)
        (printed,) = page.evaluate(SHOWN, "pre.output")
        assert "\x1b" not in printed
        if "\x1b" not in text:
            assert printed == as_lines(f"{text}\n"), repr(text)


@pytest.mark.parametrize("address", ["/", "/jobs?limit=200", "/dlq?limit=200", "/events?limit=500"])
def test_no_list_of_job_texts_is_more_than_text(
    hostile: Served, harmless: Served, page: Page, address: str
) -> None:
    assert tags(page, hostile.address + address) == tags(page, harmless.address + address)
    page.goto(hostile.address + address)
    assert_unmoved(page)


def test_a_script_that_did_run_would_be_seen(page: Page) -> None:
    """The control: such a text put into a page as it is."""
    page.set_content(f"<main>{TEXTS[0]}</main>")
    assert page.evaluate("window.owned") == 1
    with pytest.raises(AssertionError):
        assert_unmoved(page)


def test_hostile_addresses_are_refused_as_text(hostile: Served, page: Page) -> None:
    from urllib.parse import quote

    for text in TEXTS[:60]:
        for place in ("/jobs?q=", "/jobs?queue=", "/jobs?tag=", "/events?stream=", "/events?type="):
            answer = page.request.get(hostile.address + place + quote(text[:500]))
            assert answer.status in (200, 400), (place, text)
            assert "<script>window" not in answer.text()
    page.goto(f"{hostile.address}/jobs?q={quote(TEXTS[0])}")
    assert_unmoved(page)

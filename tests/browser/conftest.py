"""Chromium, and pages that fail the test if their console reports an error."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.scene import Scene, busy_hour
from tests.machine import CHROMIUM
from tests.served import Served, served

PATIENCE_MS = 60_000
"""The longest wait for a page; only a failing test takes so long, however slow the machine is."""
expect.set_options(timeout=PATIENCE_MS)

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard of a queue after an hour of work; its queue does not change."""
    path = tmp_path_factory.mktemp("lived") / "queue.db"
    busy_hour(path).queue.close()
    with served(path) as server:
        yield server


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser window of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab. The test fails if its console reports anything, such as a breach of the policy."""
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda entry: messages.append(f"{entry.type}: {entry.text}"))
    page.on("pageerror", lambda error: messages.append(f"error: {error}"))
    page.on("dialog", lambda dialog: messages.append(f"dialog: {dialog.message}"))
    yield page
    assert messages == []


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """An empty queue whose clock the test sets."""
    scene = Scene(tmp_path / "queue.db", time.time_ns() // 1000 - 60_000_000)
    scene.worker("3f2a", 2, "workshop")
    yield scene
    scene.queue.close()


@pytest.fixture
def server(scene: Scene) -> Iterator[Served]:
    """A dashboard of that queue."""
    with served(Path(scene.queue.location.name)) as server:
        yield server

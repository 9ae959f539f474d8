"""A real Chromium, and a page that complains of what its console says."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.scene import Scene, busy_hour
from tests.machine import CHROMIUM
from tests.served import Served, served

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
    """A dashboard of a queue that an hour of work has gone through; nobody writes to it."""
    path = tmp_path_factory.mktemp("lived") / "queue.db"
    busy_hour(path).queue.close()
    with served(path) as server:
        yield server


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab. The test fails where its console reports an error or a breach of the policy."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    yield page
    assert complaints == []


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """An empty queue whose time the test moves."""
    scene = Scene(tmp_path / "queue.db", time.time_ns() // 1000 - 60_000_000)
    scene.worker("3f2a", 2, "workshop")
    yield scene
    scene.queue.close()


@pytest.fixture
def server(scene: Scene) -> Iterator[Served]:
    """A dashboard of that queue."""
    with served(Path(scene.queue.location.path)) as server:
        yield server

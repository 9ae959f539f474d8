"""The pages in a real browser: rendering, safety, live updates and accessibility."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from queuectl.outputs.writer import OutputWriter
from tests.browser.scene import Scene
from tests.served import Served

PAGES = (
    "/",
    "/jobs",
    "/jobs?state=failed&q=restic",
    "/jobs?sort=longest",
    "/jobs/1",
    "/queues",
    "/queues/encodes?span=day",
    "/upcoming",
    "/dlq",
    "/workers",
    "/events",
    "/settings",
)
HEADINGS = (
    "Overview",
    "Jobs",
    "Jobs",
    "Jobs",
    "job 1 nightly training",
    "Queues",
    "queue encodes",
    "Upcoming",
    "Dead jobs",
    "Workers",
    "The log",
    "Settings",
)
FEW = {("/", 1280), ("/jobs", 390), ("/jobs/1", 1280), ("/events", 390)}
# The rules that axe applies by default, and the size of targets, which is not one of them.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")

HOSTILE = (
    "<script>document.title='taken'</script>",
    '"><img src=x onerror="document.title=\'taken\'">',
    "' onmouseover='document.title=1' x='",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "</title></code></pre><h1>taken</h1>",
    "tsi\u202egpj.exe \u2066x\u2069",
    "\x1b]8;;javascript:document.title='taken'\x07click\x1b]8;;\x07",
    "\x1b[31mred\x1b[0m\x1b[2J\x1b[1;1H\x9b31m",
)


@pytest.mark.sampled
def test_each_page_renders(lived: Served, page: Page) -> None:
    """All in one test, so that `make test` starts one browser."""
    for address, heading in zip(PAGES, HEADINGS, strict=True):
        page.goto(lived.address + address)
        expect(page.get_by_role("heading", level=1), address).to_have_text(heading)
        current = page.get_by_role("navigation", name="Pages").locator("[aria-current]")
        expect(current, address).to_have_count(1)
        expect(page.locator("html"), address).to_have_attribute("data-live", "on")


# axe takes seconds per page: `make test` checks few pages, `make prove` also all others.
CHECKED = [
    pytest.param(address, scheme, width, marks=() if (address, width) in FEW else pytest.mark.proof)
    for address in PAGES
    for scheme, width in (("light", 1280), ("dark", 390))
]


@pytest.mark.parametrize(("address", "scheme", "width"), CHECKED)
def test_page_is_accessible(
    browser: Browser, lived: Served, scheme: Any, width: int, address: str
) -> None:
    context = browser.new_context(
        color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 844}
    )
    page = context.new_page()
    page.goto(lived.address + address)
    if page.locator("pre.output").count():
        expect(page.locator("html")).to_have_attribute("data-output", "on")
    page.evaluate(AXE)
    violations = page.evaluate(f"axe.run(document, {{runOnly: {RULES}}})")["violations"]
    context.close()
    assert [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in violations] == []


@pytest.mark.parametrize("address", PAGES)
def test_page_fits_a_phone(browser: Browser, lived: Served, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(lived.address + address)
    width = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert width == 390


@pytest.mark.parametrize("address", PAGES)
def test_page_shows_the_same_without_scripts(
    browser: Browser, lived: Served, page: Page, address: str
) -> None:
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(lived.address + address)
    page.goto(lived.address + address)
    for row in ("main h1", "main h2", "main th", "main .type", "main .state"):
        assert plain.locator(row).all_text_contents() == page.locator(row).all_text_contents()
    plain.context.close()


def test_filters_work_without_scripts(browser: Browser, lived: Served) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{lived.address}/jobs")
    page.get_by_label("Search command, name, tags, ID").fill("restic")
    page.get_by_role("button", name="Filter").click()
    assert page.url.endswith("q=restic&queue=&tag=&sort=")
    page.get_by_role("navigation", name="By state").get_by_role("link", name="failed").click()
    assert page.locator("tbody tr").count() == 1
    assert "q=restic" in page.url
    page.context.close()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_job_text_is_shown_as_text(
    scene: Scene, server: Served, page: Page, text: str
) -> None:
    printable = "".join(c for c in text if c not in "\x1b\x07\x9b")
    job = scene.queue.enqueue(
        text, name=printable, queue="default", tags={"tag": printable}, max_retries=0
    )
    scene.claim(job.id)
    scene.finish(job.id, 1, output=f"{text}\n")
    for address in ("/", "/jobs", f"/jobs/{job.id}", "/dlq", "/queues/default", "/events"):
        page.goto(server.address + address)
        expect(page.locator("html")).to_have_attribute("data-live", "on")
        assert "taken" not in page.title()
        assert page.locator("main img, main script, main a[href^='javascript']").count() == 0
        assert "taken" not in page.get_by_role("heading", level=1).text_content().replace(  # type: ignore[union-attr]
            printable, ""
        )
        assert not set("\x1b\x07\x9b\u202e\u2066") & set(page.content())


def test_page_follows_a_job(scene: Scene, server: Served, page: Page) -> None:
    job = scene.queue.enqueue("make world", max_retries=0)
    page.goto(f"{server.address}/jobs/{job.id}")
    state = page.locator(".job-head .state")
    expect(state).to_have_text("pending")
    page.evaluate("window.same = true")
    scene.claim(job.id)
    expect(state).to_have_text("processing")
    scene.finish(job.id, 2, output="no rule to make world\n")
    expect(state).to_have_text("dead")
    expect(page.get_by_label("Lines printed by attempt 1")).to_have_text("no rule to make world\n")
    expect(page.get_by_role("link", name="Dead")).to_contain_text("1")
    assert page.evaluate("window.same"), "the page was loaded anew"


def test_error_page_has_links_to_the_other_pages(lived: Served, page: Page) -> None:
    page.request.get(lived.address)  # not opened in the tab, whose console would report the 404
    answer = page.request.get(f"{lived.address}/jobs/nope")
    assert answer.status == 404
    page.set_content(answer.text())
    expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link")).to_have_count(8)


def test_long_commands_fit_a_phone(
    scene: Scene, server: Served, context: BrowserContext, page: Page
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for address in ("/", "/workers", "/dlq"):
        page.goto(server.address + address)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    job = scene.queue.enqueue("x" * 3000, name="n" * 200, tags={"k": "v" * 200}, max_retries=0)
    scene.claim(job.id)
    scene.finish(job.id, 1, output="y" * 3000)
    for address in ("/", "/jobs", f"/jobs/{job.id}", "/dlq", "/events"):
        page.goto(server.address + address)
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_page_is_live_although_a_script_loads_late(lived: Served, page: Page) -> None:
    """A deferred htmx can start without its extension, as it did on a busy machine."""

    def delay(route: Route) -> None:
        page.wait_for_timeout(300)
        route.continue_()

    page.route("**/hx-sse.min.js", delay)
    page.goto(lived.address)
    expect(page.locator("html")).to_have_attribute("data-live", "on")


def test_overview_follows_the_queue(scene: Scene, server: Served, page: Page) -> None:
    page.goto(server.address)
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    scene.queue.enqueue("true")
    expect(page.locator(".states .pending .count")).to_have_text("1")


def test_output_of_a_running_job_grows_on_the_page(
    scene: Scene, server: Served, page: Page
) -> None:
    job = scene.queue.enqueue("make world")
    scene.claim(job.id)
    output = OutputWriter(scene.queue.store.output_files(job.id, 1, 1_000_000))
    output.take(b"\x1b[32mfirst\x1b[0m\n")
    output.spill()
    page.goto(f"{server.address}/jobs/{job.id}")
    shown = page.get_by_label("Lines printed by attempt 1")
    expect(shown).to_have_text("first\n")
    expect(shown.locator(".ansi-green-fg")).to_have_text("first")
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    output.take(b"\x1b[31msec")
    expect(shown).to_have_text("first\nsec")
    output.take("ond\x1b[0m ☃ <b>\n".encode())
    expect(shown).to_have_text("first\nsecond ☃ <b>\n")
    expect(shown.locator(".ansi-red-fg").first).to_have_text("sec")
    output.close()


def test_stream_pauses_while_the_tab_is_hidden(
    scene: Scene, server: Served, context: BrowserContext, page: Page
) -> None:
    page.goto(server.address)
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    notify = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide % "true" + notify)
    scene.queue.enqueue("true")
    page.wait_for_timeout(1500)
    assert requests == []
    page.evaluate(hide % "false" + notify)
    expect(page.locator(".states .pending .count")).to_have_text("1")


def test_keyboard_reaches_the_content_first(lived: Served, page: Page) -> None:
    page.goto(f"{lived.address}/jobs")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_focus_and_typing_survive_an_update(scene: Scene, server: Served, page: Page) -> None:
    scene.queue.enqueue("true")
    page.goto(f"{server.address}/jobs")
    box = page.get_by_label("Search command, name, tags, ID")
    box.fill("half a wo")
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    scene.queue.enqueue("true")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(box).to_be_focused()
    expect(box).to_have_value("half a wo")


def test_event_shows_its_record_when_opened(lived: Served, page: Page) -> None:
    page.goto(f"{lived.address}/events?type=dead")
    record = page.locator(".log details").first
    record.locator("summary").click()
    expect(record).to_contain_text('"reason":"retries-used-up"')
    page.locator(".log .stream a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("job")

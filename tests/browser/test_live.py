"""Pages that stay open: paused, disconnected, counting time, and following output."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from queuectl.outputs.writer import OutputWriter
from tests.browser.scene import Scene
from tests.served import Served

LINES = b"".join(b"line %d\n" % number for number in range(500))


@pytest.fixture
def output(scene: Scene) -> Iterator[OutputWriter]:
    """The output of the running job 1, written by the test."""
    job = scene.queue.enqueue("make world")
    scene.claim(job.id)
    output = OutputWriter(scene.queue.store.output_files(job.id, 1, 1_000_000))
    output.take(LINES)
    output.spill()
    yield output
    output.close()


def goes_live(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("html")).to_have_attribute("data-live", "on")


def shows_output(page: Page, address: str) -> None:
    """Open the page of job 1, and wait until its output can be followed and searched."""
    goes_live(page, f"{address}/jobs/1")
    expect(page.locator(".tools")).to_be_visible()


def distance_to_end(page: Page) -> float:
    """Return the pixels between the visible part of the output and its end."""
    text = "box => box.scrollHeight - box.scrollTop - box.clientHeight"
    return float(page.locator("pre.output").evaluate(text))


def test_updates_are_paused_and_resumed(scene: Scene, server: Served, page: Page) -> None:
    scene.queue.enqueue("true")
    goes_live(page, f"{server.address}/events")
    first = page.locator(".log .position").first
    expect(first).to_have_text("3")
    page.get_by_role("button", name="Pause updates of this page").click()
    scene.queue.enqueue("true")
    notice = page.get_by_role("status").filter(has_text="Paused at")
    expect(notice).to_contain_text("1 new event since.")
    scene.queue.enqueue("true")
    expect(notice).to_contain_text("2 new events since.")
    expect(first).to_have_text("3")
    page.get_by_role("button", name="Resume updates of this page").click()
    expect(first).to_have_text("5")
    expect(notice).to_have_count(0)
    scene.queue.enqueue("true")
    expect(first).to_have_text("6")


def test_a_lost_connection_is_reported(browser: Browser, scene: Scene, server: Served) -> None:
    context = browser.new_context()
    page = context.new_page()  # without the fixture, since its console reports the lost connection
    goes_live(page, server.address)
    server.running.kill()
    notice = page.locator("#notice")
    expect(notice).to_contain_text("Connection lost at")
    expect(notice).to_contain_text("shows the queue as it was then")
    context.close()


def test_elapsed_time_keeps_counting(scene: Scene, server: Served, page: Page) -> None:
    job = scene.queue.enqueue("sleep 900")
    scene.claim(job.id)
    goes_live(page, server.address)
    elapsed = page.locator(".running-jobs .elapsed")
    before = elapsed.text_content()
    assert before
    assert re.fullmatch(r"(\d+m)?(\d+s)?", before)
    expect(elapsed).not_to_have_text(before)


def test_output_of_a_running_job_is_followed_to_its_end(
    output: OutputWriter, server: Served, page: Page
) -> None:
    shows_output(page, server.address)
    shown = page.locator("pre.output")
    expect(shown).to_contain_text("line 499")
    assert distance_to_end(page) < 2
    output.take(b"the end\n" * 40)
    expect(shown).to_contain_text("the end")
    assert distance_to_end(page) < 2


def test_output_does_not_scroll_while_a_person_reads_further_up(
    output: OutputWriter, server: Served, page: Page
) -> None:
    shows_output(page, server.address)
    shown = page.locator("pre.output")
    expect(shown).to_contain_text("line 499")
    page.wait_for_function("document.querySelector('pre.output').scrollTop > 100")  # at the end
    shown.evaluate("box => { box.scrollTop = 100; }")
    page.wait_for_function("document.querySelector('pre.output').scrollTop === 100")
    output.take(b"the end\n")
    expect(shown).to_contain_text("the end")
    assert shown.evaluate("box => box.scrollTop") == 100


def test_output_is_paused_and_followed_again(
    output: OutputWriter, server: Served, page: Page
) -> None:
    shows_output(page, server.address)
    shown = page.locator("pre.output")
    expect(shown).to_contain_text("line 499")
    tools = page.locator(".tools")
    tools.get_by_role("button", name="Pause").click()
    page.evaluate(
        "window.notified = new Promise(notified => document.getElementById('live')"
        ".addEventListener('output', () => notified(true), {once: true})); 0"
    )
    output.take(b"the end\n")
    assert page.evaluate("window.notified")
    expect(shown).not_to_contain_text("the end")
    tools.get_by_role("button", name="Follow").click()
    expect(shown).to_contain_text("the end")
    assert distance_to_end(page) < 2


def test_output_is_searched(output: OutputWriter, server: Served, page: Page) -> None:
    output.take(b"\x1b[31mli\x1b[0mne in colour\n")
    shows_output(page, server.address)
    shown = page.locator("pre.output")
    expect(shown).to_contain_text("in colour")
    matches = page.locator(".matches")
    box = page.get_by_label("Search this output")
    box.fill("LINE 42")
    expect(matches).to_have_text("1 of 11")
    box.press("Enter")
    expect(matches).to_have_text("2 of 11")
    page.get_by_role("button", name="Previous").click()
    page.get_by_role("button", name="Previous").click()
    expect(matches).to_have_text("11 of 11")
    box.fill("line in")
    expect(matches).to_have_text("1 of 1")
    box.fill("nowhere")
    expect(matches).to_have_text("No match")
    box.fill("")
    expect(matches).to_have_text("")


def test_tools_of_an_output_appear_when_they_work(
    output: OutputWriter, server: Served, page: Page
) -> None:
    modules: list[Route] = []
    # A slow network: the module is held back.
    page.route("**/output.js*", lambda route: modules.append(route))
    goes_live(page, f"{server.address}/jobs/1")
    expect(page.locator("pre.output")).to_contain_text("line 499")
    expect(page.locator(".tools")).to_be_hidden()
    assert len(modules) == 1
    modules[0].continue_()
    expect(page.locator(".tools")).to_be_visible()


def test_output_is_downloaded(output: OutputWriter, server: Served, page: Page) -> None:
    shows_output(page, server.address)
    with page.expect_download() as download:
        page.get_by_role("link", name="download").click()
    assert download.value.suggested_filename == "job-1-1.txt"
    assert download.value.path().read_bytes() == LINES


@pytest.mark.parametrize("width", [390, 1280])
def test_commands_to_copy_are_wholly_visible(lived: Served, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    for address in ("/dlq", "/jobs/1", "/workers", "/queues/encodes"):
        page.goto(lived.address + address)
        for code in page.locator(".cmd code").all():
            assert code.evaluate("box => box.scrollWidth <= box.clientWidth"), address
            words = code.text_content() or ""
            assert words.startswith("queuectl "), words
            assert not words.startswith("queuectl --db"), words
        for button in page.locator(".cmd .copy").all():
            box = button.bounding_box()
            assert box
            assert box["width"] >= 40

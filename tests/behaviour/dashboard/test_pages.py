"""The content of the pages and of their feeds; hostile text is shown as text."""

import os
import re
from html import unescape
from pathlib import Path

import msgspec
import pytest
from flask.testing import FlaskClient

from queuectl import json_shapes
from queuectl.api import Queue
from queuectl.dashboard import json_shapes as page_shapes
from queuectl.dashboard.app import create_app
from tests.behaviour.dashboard.feeds import FEEDS, NOON_US, PAGES, read
from tests.browser.scene import Scene


def test_every_page_links_to_its_feed(client: FlaskClient) -> None:
    for page in (*PAGES, "/jobs/1"):
        answer = client.get(page)
        assert answer.status_code == 200, page
        feed = re.search(r'href="([^"]+)">This page as JSON', answer.text)
        assert feed, page
        assert read(client, feed[1])["schema"] == 1


SHAPES: dict[str, type[json_shapes.Document]] = {
    "/status.json": page_shapes.OverviewDocument,
    "/jobs.json?sort=longest": page_shapes.ListedJobs,
    "/jobs.json?q=train": page_shapes.ListedJobs,
    "/queues.json": page_shapes.QueueList,
    "/queues/night.json": page_shapes.QueueDocument,
    "/upcoming.json": page_shapes.UpcomingPage,
    "/dlq.json": page_shapes.DeadPage,
    "/workers.json": json_shapes.WorkerPage,
    "/events.json": json_shapes.EventPage,
    "/settings.json": page_shapes.SettingsDocument,
    "/jobs/1.json": json_shapes.JobDocument,
}


@pytest.mark.parametrize("address", SHAPES)
def test_a_feed_has_its_documented_shape(client: FlaskClient, address: str) -> None:
    text = client.get(address).data
    again = msgspec.json.encode(msgspec.json.decode(text, type=SHAPES[address]))
    assert again + b"\n" == text


def test_an_error_has_its_documented_shape(client: FlaskClient) -> None:
    answer = client.get("/jobs/none.json")
    assert answer.status_code == 404
    error = msgspec.json.decode(answer.data, type=page_shapes.ErrorDocument)
    assert error == page_shapes.ErrorDocument(error="There is no job none.")


def test_overview_counts_jobs_by_state(client: FlaskClient) -> None:
    status = read(client, "/status.json")
    assert status["counts"]["dead"] == 1
    assert status["counts"]["completed"] == 1
    assert status["counts"]["pending"] == 1
    assert status["counts"]["scheduled"] == 1
    assert status["metrics"] == {"total_jobs": 4, "success_runs": 1, "failed_runs": 3}
    assert status["oldest_waiting"]["id"] == "thumbs.v2"
    assert status["next_due_at"].startswith("2026-")
    assert [worker["id"] for worker in status["workers"]] == ["3f2a"]
    page = client.get("/").text
    assert "total_jobs" in page
    assert "success_runs" in page
    assert "failed_runs" in page


def test_a_missing_queue_file_is_shown_as_an_empty_queue(tmp_path: Path) -> None:
    client = create_app(str(tmp_path / "none.db")).test_client()
    for page in PAGES:
        assert client.get(page).status_code == 200, page
    for feed in FEEDS:
        assert read(client, feed)["position"] == 0, feed
    assert client.get("/jobs/1").status_code == 404
    assert os.listdir(tmp_path) == []


def test_a_queue_created_later_is_shown(tmp_path: Path) -> None:
    client = create_app(str(tmp_path / "queue.db")).test_client()
    assert read(client, "/jobs.json")["jobs"] == []
    with Queue(tmp_path / "queue.db") as queue:
        queue.enqueue("true")
    assert [job["id"] for job in read(client, "/jobs.json")["jobs"]] == ["1"]


def test_a_queue_that_replaces_another_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    client = create_app(str(path)).test_client()
    with Queue(path) as queue:
        queue.enqueue("true")
    assert len(read(client, "/jobs.json")["jobs"]) == 1
    for file in tmp_path.glob("queue.db*"):
        if file.is_file():
            file.unlink()
    with Queue(path):
        pass
    assert read(client, "/jobs.json")["jobs"] == []


def test_a_file_that_is_not_a_queue_is_reported_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    path.write_text("a shopping list")
    answer = create_app(str(path)).test_client().get("/")
    assert answer.status_code == 503
    assert "too short to be a queue" in answer.text
    assert path.read_text() == "a shopping list"


def test_jobs_are_filtered_by_the_parameters_of_the_address(client: FlaskClient) -> None:
    def ids(address: str) -> list[str]:
        return [job["id"] for job in read(client, address)["jobs"]]

    assert ids("/jobs.json") == ["3", "thumbs.v2", "2", "1"]
    assert ids("/jobs.json?state=dead&state=completed") == ["2", "1"]
    assert ids("/jobs.json?queue=night") == ["2"]
    assert ids("/jobs.json?tag=model=resnet-50") == ["1"]
    assert ids("/jobs.json?q=TRAIN.py") == ["1"]
    assert ids("/dlq.json") == ["1"]
    page = client.get("/jobs?state=dead&q=train").text
    assert 'value="train"' in page
    assert "thumbs.v2" not in page


def test_pages_of_a_list_have_no_gap_or_overlap(client: FlaskClient) -> None:
    for feed, name, key in (("/jobs.json", "jobs", "id"), ("/events.json", "events", "position")):
        whole = [row[key] for row in read(client, feed)[name]]
        parts, before = [], ""
        while before is not None:
            part = read(client, f"{feed}?limit=1&before={before}")
            parts += [row[key] for row in part[name]]
            before = part["next"]
        assert parts == whole


def test_log_is_filtered_by_type_and_stream(client: FlaskClient) -> None:
    def matches(query: str) -> list[tuple[str, str]]:
        events = read(client, f"/events.json?{query}")["events"]
        return [(event["stream"], event["type"]) for event in events]

    assert matches("type=dead") == [("1", "dead")]
    assert matches("stream=2") == [("2", "succeeded"), ("2", "claimed"), ("2", "enqueued")]
    assert matches("stream=1&type=claimed") == [("1", "claimed")] * 3
    assert matches("stream=$worker:3f2a") == [("$worker:3f2a", "worker-started")]


def test_job_page_shows_history_and_attempts(client: FlaskClient) -> None:
    page = client.get("/jobs/1").text
    assert "retries used up (2 of 2)" in page
    assert "in 4s (4 ** 1), retry 1 of 2" in page
    assert 'data-copy="queuectl dlq retry 1 --db ' in page
    job = read(client, "/jobs/1.json")["job"]
    assert [run["exit_code"] for run in job["attempts"]] == [1, 1, 137]
    assert job["policy"]["timeout_s"] == 7200


def test_an_id_may_end_in_json(scene: Scene, client: FlaskClient) -> None:
    assert client.get("/jobs/thumbs.v2").status_code == 200
    assert read(client, "/jobs/thumbs.v2.json")["job"]["argv"][1] == "a b.png"
    scene.queue.enqueue("true", id="notes.json")
    assert "<h1>" in client.get("/jobs/notes.json").text
    assert read(client, "/jobs/notes.json.json")["job"]["id"] == "notes.json"


@pytest.mark.parametrize(
    "job_id", ["a b", "50%", "why?", "x#y", "naïve ☃", "a+b&c", "q;r=s", "%2e"]
)
def test_any_id_has_a_page(scene: Scene, client: FlaskClient, job_id: str) -> None:
    scene.queue.enqueue("true", id=job_id)
    link = re.search(r'<th scope="row"><a class="id" href="([^"]+)"', client.get("/jobs").text)
    assert link
    page = client.get(unescape(link[1]))
    assert page.status_code == 200
    feed = re.search(r'href="([^"]+)">This page as JSON', page.text)
    assert feed
    assert read(client, unescape(feed[1]))["job"]["id"] == job_id


def test_output_is_served_as_plain_text_from_an_offset(client: FlaskClient) -> None:
    answer = client.get("/jobs/2/output/1?from=4")
    assert answer.data == b"is well\n"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Output-End"] == "12"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{7*7}}",
        "a\u202eb\x1b[2J\x07",
        "' onmouseover='alert(1)",
    ],
)
def test_job_text_is_shown_as_text(tmp_path: Path, text: str) -> None:
    scene = Scene(tmp_path / "queue.db", NOON_US)
    job = scene.queue.enqueue(
        text, name=text.replace("\x1b", "").replace("\x07", ""), max_retries=0
    )
    scene.claim(job.id)
    scene.finish(job.id, 1, output=text)
    client = create_app(scene.queue.location.name).test_client()
    for page in (*PAGES, f"/jobs/{job.id}"):
        shown = client.get(page).text
        assert "<script>alert" not in shown
        assert "<img" not in shown
        assert " onmouseover='" not in shown
        assert ">49<" not in shown
        assert not set("\x1b\x07\u202e") & set(shown)
    scene.queue.close()


def test_invalid_addresses_are_refused_with_a_reason(client: FlaskClient) -> None:
    for address, code, words in (
        ("/jobs?state=lost", 400, "There is no state"),
        ("/jobs?before=x", 400, "whole number"),
        ("/jobs?before=99999999999999999999999", 400, "whole number"),
        ("/jobs?tag=model", 400, "KEY=VALUE"),
        ("/events?type=exploded", 400, "no event type"),
        ("/jobs/99", 404, "There is no job 99"),
        ("/jobs/1?attempt=9", 404, "no attempt 9"),
        ("/nowhere", 404, "Not Found"),
    ):
        answer = client.get(address)
        assert (answer.status_code, words in answer.text) == (code, True), address
    assert client.get("/jobs/99.json").get_json() == {"schema": 1, "error": "There is no job 99."}

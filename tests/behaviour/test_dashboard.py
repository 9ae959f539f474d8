"""The dashboard's promises: it shows, it changes nothing, and it shows only to whom it should."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from itertools import takewhile
from multiprocessing import get_context
from pathlib import Path
from signal import SIGINT
from typing import Any

import pytest
from flask.testing import FlaskClient

from queuectl.dashboard.app import STREAMS, create_app
from queuectl.queue import Queue
from tests.browser.scene import Scene, story
from tests.ctl import Ctl
from tests.served import Served, served

PAGES = ("/", "/jobs", "/dlq", "/workers", "/events")
FEEDS = ("/status.json", "/jobs.json", "/dlq.json", "/workers.json", "/events.json")
NOON_US = 1_790_000_000_000_000


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A queue with one dead job, one completed and two pending ones."""
    scene = Scene(tmp_path / "queue.db", NOON_US)
    scene.worker("3f2a", 2, "workshop")
    story(scene)
    done = scene.queue.enqueue("true", queue="night", tags={"kind": "check"})
    scene.claim(done.id)
    scene.finish(done.id, output="all is well\n")
    scene.queue.enqueue(["convert", "a b.png", "c.jpg"], id="thumbs.v2")
    scene.queue.enqueue("sleep 1", delay="5m")
    yield scene
    scene.queue.close()


@pytest.fixture
def client(scene: Scene) -> FlaskClient:
    """A browser without a network, on that queue."""
    return create_app(scene.queue.location.path).test_client()


def read(client: FlaskClient, address: str) -> Any:
    """What a feed says."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_every_page_is_there_and_names_its_feed(client: FlaskClient) -> None:
    for page in (*PAGES, "/jobs/1"):
        answer = client.get(page)
        assert answer.status_code == 200, page
        feed = re.search(r'href="([^"]+)">This page as JSON', answer.text)
        assert feed, page
        assert read(client, feed[1])["schema"] == 1


def test_overview_counts_what_the_log_holds(client: FlaskClient) -> None:
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


def test_a_queue_without_a_file_is_an_empty_one(tmp_path: Path) -> None:
    client = create_app(str(tmp_path / "none.db")).test_client()
    for page in PAGES:
        assert client.get(page).status_code == 200, page
    for feed in FEEDS:
        assert read(client, feed)["position"] == 0, feed
    assert client.get("/jobs/1").status_code == 404
    assert os.listdir(tmp_path) == []


def test_a_queue_that_appears_later_is_seen(tmp_path: Path) -> None:
    client = create_app(str(tmp_path / "queue.db")).test_client()
    assert read(client, "/jobs.json")["jobs"] == []
    with Queue(tmp_path / "queue.db") as queue:
        queue.enqueue("true")
    assert [job["id"] for job in read(client, "/jobs.json")["jobs"]] == ["1"]


def test_a_queue_that_is_replaced_is_seen(tmp_path: Path) -> None:
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


def test_a_file_that_is_no_queue_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    path.write_text("a shopping list")
    answer = create_app(str(path)).test_client().get("/")
    assert answer.status_code == 503
    assert "not a queue" in answer.text
    assert path.read_text() == "a shopping list"


def test_filters_stand_in_the_address(client: FlaskClient) -> None:
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


def test_pages_of_a_list_meet_without_gap_or_overlap(client: FlaskClient) -> None:
    for feed, name, key in (("/jobs.json", "jobs", "id"), ("/events.json", "events", "position")):
        whole = [one[key] for one in read(client, feed)[name]]
        parts, before = [], ""
        while before is not None:
            part = read(client, f"{feed}?limit=1&before={before}")
            parts += [one[key] for one in part[name]]
            before = part["next"]
        assert parts == whole


def test_log_is_filtered_by_type_and_stream(client: FlaskClient) -> None:
    def found(query: str) -> list[tuple[str, str]]:
        events = read(client, f"/events.json?{query}")["events"]
        return [(event["stream"], event["type"]) for event in events]

    assert found("type=dead") == [("1", "dead")]
    assert found("stream=2") == [("2", "succeeded"), ("2", "claimed"), ("2", "enqueued")]
    assert found("stream=1&type=claimed") == [("1", "claimed")] * 3
    assert found("stream=$worker:3f2a") == [("$worker:3f2a", "worker-started")]


def test_job_page_tells_its_story(client: FlaskClient) -> None:
    page = client.get("/jobs/1").text
    assert "retries used up (2 of 2)" in page
    assert "in 4.0 s (4 ** 1), retry 1 of 2" in page
    assert "queuectl --db" in page
    assert "dlq retry 1" in page
    job = read(client, "/jobs/1.json")["job"]
    assert [run["exit_code"] for run in job["attempts"]] == [1, 1, 137]
    assert job["policy"]["timeout_s"] == 7200


def test_id_may_end_like_an_address(scene: Scene, client: FlaskClient) -> None:
    assert client.get("/jobs/thumbs.v2").status_code == 200
    assert read(client, "/jobs/thumbs.v2.json")["job"]["argv"][1] == "a b.png"
    scene.queue.enqueue("true", id="notes.json")
    assert "<h1>" in client.get("/jobs/notes.json").text
    assert read(client, "/jobs/notes.json.json")["job"]["id"] == "notes.json"


def test_output_is_served_as_plain_text_from_a_byte_on(client: FlaskClient) -> None:
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
def test_job_text_is_text(tmp_path: Path, text: str) -> None:
    scene = Scene(tmp_path / "queue.db", NOON_US)
    job = scene.queue.enqueue(
        text, name=text.replace("\x1b", "").replace("\x07", ""), max_retries=0
    )
    scene.claim(job.id)
    scene.finish(job.id, 1, output=text)
    client = create_app(scene.queue.location.path).test_client()
    for page in (*PAGES, f"/jobs/{job.id}"):
        shown = client.get(page).text
        assert "<script>alert" not in shown
        assert "<img" not in shown
        assert " onmouseover='" not in shown
        assert ">49<" not in shown
        assert not set("\x1b\x07\u202e") & set(shown)
    scene.queue.close()


def test_addresses_that_make_no_sense_are_refused_by_name(client: FlaskClient) -> None:
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


def test_nothing_but_reading_is_answered(client: FlaskClient) -> None:
    before = read(client, "/status.json")["head_hash"]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for page in (*PAGES, "/jobs/1", "/status.json"):
            assert client.open(page, method=method).status_code == 405, (method, page)
    assert client.head("/").status_code == 200
    assert read(client, "/status.json")["head_hash"] == before


def test_every_answer_tells_the_browser_its_limits(client: FlaskClient) -> None:
    for page in (*PAGES, "/nowhere", "/jobs.json", "/jobs/2/output/1"):
        headers = client.get(page).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in headers


def test_pages_hold_no_inline_script_or_style(client: FlaskClient) -> None:
    for page in (*PAGES, "/jobs/1"):
        text = client.get(page).text
        assert not re.search(r"<script(?![^>]* src=)", text), page
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text), page
        assert not re.search(r'(?:src|href)="(?:https?:)?//', text), page


def test_a_host_that_is_not_ours_is_refused(client: FlaskClient) -> None:
    for host in ("evil.example", "evil.example:5000", "127.0.0.1.evil.example"):
        assert client.get("/", headers={"Host": host}).status_code == 400, host
    for host in ("localhost", "127.0.0.1:5000", "[::1]:5000"):
        assert client.get("/", headers={"Host": host}).status_code == 200, host


def test_other_sites_may_link_and_nothing_else(client: FlaskClient) -> None:
    def asked(**headers: str) -> int:
        named = {f"Sec-Fetch-{name}": value for name, value in headers.items()}
        return client.get("/jobs.json", headers=named).status_code

    assert asked(Site="same-origin", Mode="cors") == 200
    assert asked(Site="none", Mode="navigate", Dest="document") == 200
    assert asked(Site="cross-site", Mode="navigate", Dest="document") == 200
    assert asked(Site="cross-site", Mode="navigate", Dest="iframe") == 403
    assert asked(Site="cross-site", Mode="no-cors", Dest="script") == 403
    assert asked(Site="same-site", Mode="cors", Dest="empty") == 403
    assert client.get("/", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/", headers={"Origin": "http://localhost"}).status_code == 200


def test_token_opens_once_and_then_hides(scene: Scene) -> None:
    client = create_app(scene.queue.location.path, token="sesame seed").test_client()
    assert client.get("/").status_code == 401
    assert client.get("/jobs.json").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    bearer = {"Authorization": "Bearer sesame seed"}
    assert client.get("/jobs.json", headers=bearer).status_code == 200
    opened = client.get("/?token=sesame+seed")
    assert (opened.status_code, opened.headers["Location"]) == (303, "/")
    cookie = opened.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "sesame" not in cookie
    assert client.get("/").status_code == 200


def test_served_under_a_prefix_all_addresses_have_it(scene: Scene) -> None:
    path = Path(scene.queue.location.path)
    with served(path, "'127.0.0.1', 0, prefix='/queue'") as server:
        page = server.ask("/queue/jobs?state=dead")
        assert page.status == 200
        addresses = re.findall(r'(?:href|src|action|hx-get|connect)="(/[^"]*)"', page.text)
        assert addresses
        assert all(address.startswith("/queue/") for address in addresses)
        assert server.ask("/queue/status.json").status == 200


@pytest.mark.parametrize("folder", ["queuectl/dashboard/static/vendor", "tests/browser/vendor"])
def test_vendored_files_are_what_their_list_says(folder: str) -> None:
    here = Path(__file__).parents[2] / folder
    listed = {"vendor.json"}
    for package in json.loads((here / "vendor.json").read_text())["packages"]:
        for name, digest in package["files"].items():
            assert sha256((here / name).read_bytes()).hexdigest() == digest, name
        listed |= set(package["files"])
    assert listed == {file.name for file in here.iterdir()}


def test_served_to_others_it_says_so(scene: Scene) -> None:
    path = Path(scene.queue.location.path)
    with served(path, "'0.0.0.0', 0") as server:
        assert server.running.says("anyone who reaches it may read it")
        assert server.ask("/", Host="evil.example").status == 400


def test_subcommand_serves_until_interrupted(ctl: Ctl) -> None:
    ctl.enqueue("true")
    running = ctl.start("dashboard", "--port", "0")
    address = running.says(" at http://").partition(" at ")[2].split(" ")[0]
    server = Served(address, running)
    assert json.loads(server.ask("/jobs.json").text)["jobs"][0]["command"] == "true"
    running.kill(SIGINT)
    assert running.ends().code == 0


def test_real_server_keeps_its_word(scene: Scene) -> None:
    with served(Path(scene.queue.location.path)) as server:
        assert server.ask("/").status == 200
        assert server.ask("/", Host="evil.example").status == 400
        assert server.ask("/", "POST").status == 405
        assert server.ask("/", Sec_Fetch_Site="cross-site").status == 403
        assert "server" not in server.ask("/").headers


def test_moves_of_the_log_are_told_with_their_position(scene: Scene) -> None:
    with served(Path(scene.queue.location.path)) as server:
        position = json.loads(server.ask("/status.json").text)["position"]
        with server.stream(f"/stream?after={position}") as lines:
            assert next(lines) == ": live"
            scene.queue.enqueue("true")
            assert _event(lines) == [f"id: {position + 1}", "event: moved", f"data: {position + 1}"]
        # One that was away while the log moved is told at once.
        with server.stream("/stream?after=0", Last_Event_ID=str(position)) as lines:
            assert _event(lines)[0] == f"id: {position + 1}"


def _event(lines: Iterator[str]) -> list[str]:
    """The next event, comments left out."""
    parts: list[str] = []
    while not parts:
        parts = [part for part in takewhile(bool, lines) if not part.startswith(":")]
    return parts


def test_pages_are_answered_while_every_stream_is_taken(scene: Scene) -> None:
    with served(Path(scene.queue.location.path)) as server, ExitStack() as open_streams:
        for _ in range(STREAMS):
            lines = open_streams.enter_context(server.stream("/stream?after=1"))
            assert next(lines) == ": live"
        with server.stream("/stream?after=1") as lines:
            told = list(lines)
        assert "event: moved" in told
        assert "retry: 5000" in told
        assert server.ask("/").status == 200
        open_streams.close()
        _until_admitted(server)


def _until_admitted(server: Served) -> None:
    while True:
        with server.stream("/stream?after=1") as lines:
            if next(lines) == ": live":
                return


def test_server_stops_at_once_with_streams_open(scene: Scene) -> None:
    with served(Path(scene.queue.location.path)) as server, server.stream("/stream") as lines:
        assert next(lines) == ": live"
        server.running.kill()
        assert server.running.process.wait(4) == 0


@pytest.mark.parametrize(("token", "refused"), [(None, 403), ("sesame", 401)])
def test_another_user_of_the_machine_sees_nothing(
    scene: Scene, token: str | None, refused: int
) -> None:
    """Only root can become someone else; for others it is the machine's kernel that says so."""
    with served(Path(scene.queue.location.path), f"'127.0.0.1', 0, {token!r}") as server:
        asks = get_context("fork").Process(target=_ask_as_nobody, args=(server, refused))
        asks.start()
        asks.join(30)
        assert asks.exitcode == 0


def _ask_as_nobody(server: Served, refused: int) -> None:
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
        assert server.ask("/").status == refused

"""The overview, queues, causes of death, upcoming jobs and settings."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from queuectl.dashboard.app import create_app
from tests.behaviour.dashboard.feeds import NOON_US, read
from tests.browser.scene import Scene
from tests.ctl import Ctl

HOUR_US = 3_600_000_000


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty queue; the pages use the scene's clock."""
    scene = Scene(tmp_path / "queue.db", NOON_US)
    scene.worker("3f2a", 2)
    monkeypatch.setattr("queuectl.dashboard.html_routes.now_us", scene.wall_us)
    monkeypatch.setattr("queuectl.dashboard.json_routes.now_us", scene.wall_us)
    yield scene
    scene.queue.close()


def dies(scene: Scene, queue: str = "default", code: int = 1, output: str = "", **how: Any) -> str:
    job = scene.queue.enqueue(f"exit {code}", queue=queue, max_retries=0)
    scene.claim(job.id)
    scene.finish(job.id, code, output=output, **how)
    return job.id


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_running_jobs_are_shown_with_their_elapsed_time(scene: Scene, client: FlaskClient) -> None:
    first, second = scene.queue.enqueue("sleep 900"), scene.queue.enqueue("sleep 60", name="nap")
    scene.claim(first.id)
    scene.after(60e6)
    scene.claim(second.id, slot=2)
    scene.after(12e6)
    running = read(client, "/status.json")["running"]
    assert [(row["id"], row["duration_s"]) for row in running] == [("1", 72.0), ("2", 12.0)]
    page = client.get("/").text
    assert ">1m12s</time>" in page
    assert "2 of 2 slots in use" in page
    assert page.index("nap") < page.index("sleep 60")


def test_claims_ahead_of_time_occupy_no_slot(scene: Scene, client: FlaskClient) -> None:
    for _ in range(5):
        scene.claim(scene.queue.enqueue("true").id)
    assert "2 of 2 slots in use" in client.get("/").text
    assert ids(read(client, "/status.json")["running"]) == ["1", "2"]
    page = client.get("/workers").text
    assert "2 of 2 slots in use, 3 more jobs claimed" in page
    assert "/jobs/2" in page
    assert "/jobs/3" not in page


def test_a_queue_has_a_page_of_its_own(scene: Scene, client: FlaskClient) -> None:
    for name in ("night", "noon"):
        dies(scene, name)
        done = scene.queue.enqueue("true", queue=name)
        scene.claim(done.id)
        scene.finish(done.id)
    low = scene.queue.enqueue("true", queue="night")
    high = scene.queue.enqueue("true", queue="night", priority=5)
    runs = scene.queue.enqueue("true", queue="night")
    scene.claim(runs.id)
    document = read(client, "/queues/night.json")
    counts = document["queue"]["counts"]
    assert (counts["pending"], counts["processing"], counts["dead"]) == (2, 1, 1)
    assert document["queue"]["oldest_waiting"]["id"] == low.id
    assert ids(document["waiting"]) == [high.id, low.id]
    assert ids(document["running"]) == [runs.id]
    assert document["ended_per_minute"] == 0.4
    assert [(group["queue"], group["jobs"]) for group in document["causes"]] == [("night", 1)]
    assert document["queue"]["last_hour"]["failed"] == 1
    page = client.get("/queues/night").text
    assert "Recently ended" in page
    assert ">noon<" not in page
    assert client.get("/queues/none").status_code == 404
    assert client.get("/queues/none.json").get_json()["error"] == "There is no queue none."


def test_a_queues_name_may_end_in_json(scene: Scene, client: FlaskClient) -> None:
    scene.queue.enqueue("true", queue="x.json")
    assert "<h1>" in client.get("/queues/x.json").text
    assert read(client, "/queues/x.json.json")["queue"]["name"] == "x.json"


def test_queues_with_most_unfinished_jobs_come_first(scene: Scene, client: FlaskClient) -> None:
    for name, jobs in (("a", 1), ("b", 3), ("c", 2)):
        for _ in range(jobs):
            scene.queue.enqueue("true", queue=name)
    rows = read(client, "/queues.json")["queues"]
    assert [(row["name"], row["counts"]["pending"]) for row in rows] == [
        ("b", 3),
        ("c", 2),
        ("a", 1),
    ]


def test_dead_jobs_are_grouped_by_cause_and_queue(scene: Scene, client: FlaskClient) -> None:
    for _ in range(3):
        newest = dies(scene, "imports", 2, "one\n\ntwo\n\x1b[31mthree\x1b[0m\n10 %\r100 %\n")
    dies(scene, "imports", 3)
    dies(scene, "night", 2)
    lost = dies(scene, "night", ended="timeout", exit_code=None, signal=15)
    groups = read(client, "/dlq.json")["causes"]
    assert [(group["cause"], group["queue"], group["jobs"]) for group in groups] == [
        ("exit 2", "imports", 3),
        ("exit 2", "night", 1),
        ("exit 3", "imports", 1),
        ("timeout", "night", 1),
    ]
    assert groups[0]["newest"] == newest
    assert groups[0]["last_lines"] == ["two", "three", "100 %"]
    assert groups[3]["newest"] == lost
    page = client.get("/dlq").text
    assert "timed out" in page
    assert "dlq retry --cause &#39;exit 2&#39; --queue imports" in page
    assert "dlq retry --cause &#39;timed out&#39; --queue night" in page
    assert ids(read(client, "/jobs.json?cause=exit+2&queue=night")["jobs"]) == ["5"]
    for cause in ("timeout", "timed+out"):
        assert ids(read(client, f"/jobs.json?cause={cause}")["jobs"]) == [lost]
    assert 'value="timed out"' in client.get("/jobs?cause=timeout").text
    refused = client.get("/jobs?cause=timedout")
    assert (refused.status_code, "did you mean &#39;timed out&#39;?" in refused.text) == (400, True)


def test_a_group_disappears_when_its_jobs_are_retried(scene: Scene, client: FlaskClient) -> None:
    first, second = dies(scene), dies(scene)
    scene.queue.retry(first)
    assert [group["jobs"] for group in read(client, "/dlq.json")["causes"]] == [1]
    scene.queue.retry(second)
    assert read(client, "/dlq.json")["causes"] == []
    scene.claim(first)
    scene.finish(first, 7)
    assert [group["cause"] for group in read(client, "/dlq.json")["causes"]] == ["exit 7"]


def test_the_retry_command_of_a_group_requeues_that_group(ctl: Ctl) -> None:
    for code, queue in ((2, "a.b"), (2, "a.b"), (2, "c"), (3, "a.b")):
        ctl.enqueue(f"exit {code}", queue=queue, max_retries=0)
    ctl.drain()
    client = create_app(ctl.place).test_client()
    group = read(client, "/dlq.json")["causes"][0]
    assert (group["cause"], group["queue"], group["jobs"]) == ("exit 2", "a.b", 2)
    words = shlex.split(group["retry"])
    assert words[0] == "queuectl"
    assert ctl(*words[1:], "--yes").jobs == ["1", "2"]
    assert [ctl.show(job)["state"] for job in "1234"] == ["pending", "pending", "dead", "dead"]


def test_dead_jobs_are_selected_by_cause(ctl: Ctl) -> None:
    for command in ("exit 2", "exit 3", "kill -9 $$"):
        ctl.enqueue(command, max_retries=0)
    ctl.drain()
    assert ctl("dlq", "list", "--cause", "exit 3").jobs == ["2"]
    for words in ("signal 9", "signal 9 (SIGKILL)", "SIGKILL"):
        assert ctl("list", "--cause", words).jobs == ["3"]
    assert ctl("dlq", "retry", "--cause", "exit 2").jobs == ["1"]
    assert ctl("dlq", "list", "--cause", "exit 2").jobs == []
    assert ctl("replay", "--check").code == 0


def test_upcoming_jobs_are_sorted_by_due_time(scene: Scene, client: FlaskClient) -> None:
    for delay in ("3h", "10m", "2h"):
        scene.queue.enqueue("true", delay=delay)
    retry = scene.queue.enqueue("false", max_retries=1, backoff_base=1000)
    scene.claim(retry.id)
    scene.finish(retry.id, 1)
    assert ids(read(client, "/upcoming.json")["jobs"]) == ["2", retry.id, "3", "1"]
    assert ids(read(client, "/status.json")["upcoming"]) == ["2", retry.id, "3", "1"]
    parts: list[str] = []
    after: str | None = ""
    while after is not None:
        page = read(client, f"/upcoming.json?limit=1&after={after}")
        parts += ids(page["jobs"])
        after = page["next"]
    assert parts == ["2", retry.id, "3", "1"]
    assert "retry 1 of 1" in client.get("/upcoming").text
    assert client.get("/upcoming?after=soon").status_code == 400
    assert client.get(f"/upcoming?after={'9' * 30}.1").status_code == 400


def test_no_figure_counts_an_attempt_that_was_stopped_with_its_worker(
    scene: Scene, client: FlaskClient
) -> None:
    dies(scene)
    job = scene.queue.enqueue("sleep 60")
    scene.claim(job.id)
    scene.finish(job.id, ended="worker-stopped", exit_code=None, signal=15)
    status = read(client, "/status.json")
    assert sum(step["failed"] for step in status["throughput"]) == 1
    assert status["metrics"]["failed_runs"] == 1
    assert read(client, "/queues.json")["queues"][0]["last_hour"]["failed"] == 1


def test_charts_cover_an_hour_a_day_and_a_week(scene: Scene, client: FlaskClient) -> None:
    def enqueued(span: str) -> int:
        steps = read(client, f"/status.json?span={span}")["throughput"]
        return sum(step["enqueued"] for step in steps)

    for hours in (100, 20, 0):
        scene.queue.enqueue("true")
        scene.after(hours * HOUR_US)
    scene.queue.enqueue("true")
    assert (enqueued("hour"), enqueued("day"), enqueued("week")) == (2, 3, 4)
    assert 'aria-current="true">week' in client.get("/?span=week").text
    assert client.get("/?span=year").status_code == 400


def test_list_is_sorted_as_requested(scene: Scene, client: FlaskClient) -> None:
    for seconds in (3, 1, 2):
        job = scene.queue.enqueue("true", max_retries=1, backoff_base=0)
        scene.claim(job.id)
        scene.finish(job.id, 0, seconds)
    twice = scene.queue.enqueue("true", max_retries=1, backoff_base=0)
    for code in (1, 0):
        scene.claim(twice.id)
        scene.finish(twice.id, code, 0.5)
        if code:
            scene.come_due(twice.id)
    scene.queue.enqueue("true")
    assert ids(read(client, "/jobs.json?sort=longest")["jobs"]) == ["1", "3", "2", "4", "5"]
    assert ids(read(client, "/jobs.json?sort=oldest")["jobs"]) == ["1", "2", "3", "4", "5"]
    assert ids(read(client, "/jobs.json?sort=attempts")["jobs"])[0] == "4"
    assert ids(read(client, "/jobs.json?sort=latest&state=completed")["jobs"])[0] == "4"
    assert client.get("/jobs?sort=colour").status_code == 400
    durations = [row["duration_s"] for row in read(client, "/jobs.json?sort=oldest")["jobs"]]
    assert durations == [3.0, 1.0, 2.0, 0.5, None]


def test_pages_sorted_by_oldest_have_no_gap_or_overlap(scene: Scene, client: FlaskClient) -> None:
    for number in range(5):
        scene.queue.enqueue("true", queue="ab"[number % 2])
    for query in ("sort=oldest", "sort=oldest&queue=a", "sort=oldest&state=pending"):
        whole = ids(read(client, f"/jobs.json?{query}")["jobs"])
        parts: list[str] = []
        before: str | None = ""
        while before is not None:
            page = read(client, f"/jobs.json?{query}&limit=2&before={before}")
            parts += ids(page["jobs"])
            before = page["next"]
        assert parts == whole == sorted(whole)


def test_a_sorted_list_says_how_many_jobs_were_sorted(
    scene: Scene, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuectl.dashboard.job_list.SORTED_AMONG", 3)
    for _ in range(5):
        scene.queue.enqueue("true")
    page = read(client, "/jobs.json?sort=attempts&limit=2")
    assert (page["sorted_among"], ids(page["jobs"])) == (3, ["5", "4"])
    assert ids(read(client, f"/jobs.json?sort=attempts&before={page['next']}")["jobs"]) == [
        "2",
        "1",
    ]
    assert "The first 2 of the 3 newest" in client.get("/jobs?sort=attempts&limit=2").text


def test_settings_are_shown_with_who_changed_them_and_why(ctl: Ctl) -> None:
    ctl("config", "set", "timeout", "5m", "--reason", "<b>slow</b> disk")
    ctl("config", "set", "max-retries", "7")
    ctl("config", "set", "timeout", "default")
    client = create_app(ctl.place).test_client()
    document = read(client, "/settings.json")
    settings = {row["key"]: row for row in document["settings"]}
    assert (settings["max-retries"]["value"], settings["max-retries"]["default"]) == ("7", "3")
    assert settings["max-retries"]["changed_by"]
    assert settings["jitter"]["changed_at"] is None
    assert [change["data"]["key"] for change in document["changes"]] == [
        "timeout",
        "max-retries",
        "timeout",
    ]
    page = client.get("/settings").text
    assert "&lt;b&gt;slow&lt;/b&gt; disk" in page
    assert "300000000" not in page
    assert "default (none)" in page


def test_output_is_downloaded_whole(scene: Scene, client: FlaskClient) -> None:
    job = scene.queue.enqueue("true", id="a.b")
    scene.claim(job.id)
    scene.finish(job.id, output="all is well\n" * 30_000)
    answer = client.get("/jobs/a.b/output/1?download=1")
    assert answer.data == b"all is well\n" * 30_000
    assert answer.headers["Content-Disposition"] == 'attachment; filename="job-a.b-1.txt"'
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_dead_worker_is_shown_as_dead(scene: Scene, client: FlaskClient) -> None:
    job = scene.queue.enqueue("sleep 900")
    scene.claim(job.id)
    for address in ("/status.json", "/workers.json"):
        (worker,) = read(client, address)["workers"]
        assert (worker["state"], worker["alive"], worker["jobs"]) == ("running", True, [job.id])
    scene.dies("3f2a")
    for address in ("/status.json", "/workers.json"):
        (worker,) = read(client, address)["workers"]
        assert (worker["state"], worker["alive"], worker["jobs"]) == ("running", False, [job.id])
    assert read(client, "/status.json")["running"] == []
    overview = client.get("/").text
    assert "1 dead</a>" in overview
    assert "1 running</a>" not in overview
    workers = client.get("/workers").text
    assert 'class="worker-state lost">dead<' in workers
    assert "It died with 1 job claimed. The next worker requeues what it had." in workers
    assert "slot" not in workers
    assert "worker 3f2a, which is dead; the next worker requeues" in client.get("/jobs/1").text

"""The server: its addresses, its event streams, and how it starts and stops."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from signal import SIGINT

import pytest

from queuectl import Queue
from queuectl.dashboard.app import MAX_STREAMS
from tests.browser.scene import Scene
from tests.ctl import DEADLINE_S, Ctl
from tests.served import Served, served


def test_all_addresses_begin_with_the_prefix(scene: Scene) -> None:
    path = Path(scene.queue.location.name)
    with served(path, "'127.0.0.1', 0, prefix='/queue'") as server:
        page = server.ask("/queue/jobs?state=dead")
        assert page.status == 200
        addresses = re.findall(r'(?:href|src|action|hx-get|connect)="(/[^"]*)"', page.text)
        assert addresses
        assert all(address.startswith("/queue/") for address in addresses)
        assert server.ask("/queue/status.json").status == 200


@pytest.mark.parametrize("folder", ["queuectl/dashboard/static/vendor", "tests/browser/vendor"])
def test_vendored_files_have_the_listed_hashes(folder: str) -> None:
    here = Path(__file__).parents[3] / folder
    listed = {"vendor.json"}
    for package in json.loads((here / "vendor.json").read_text())["packages"]:
        for name, digest in package["files"].items():
            assert sha256((here / name).read_bytes()).hexdigest() == digest, name
        listed |= set(package["files"])
    assert listed == {file.name for file in here.iterdir()}


def test_server_warns_if_others_can_connect(scene: Scene) -> None:
    path = Path(scene.queue.location.name)
    with served(path, "'0.0.0.0', 0") as server:
        assert server.running.says("anyone who can reach this address can read the pages")
        assert server.ask("/", Host="evil.example").status == 400


def test_subcommand_serves_until_interrupted(ctl: Ctl) -> None:
    ctl.enqueue("true")
    running = ctl.start("dashboard", "--port", "0")
    address = running.says(" at http://").partition(" at ")[2].split(" ")[0]
    server = Served(address, running)
    assert json.loads(server.ask("/jobs.json").text)["jobs"][0]["command"] == "true"
    running.kill(SIGINT)
    assert running.ends().code == 0


def test_real_server_checks_host_method_and_site(scene: Scene) -> None:
    with served(Path(scene.queue.location.name)) as server:
        assert server.ask("/").status == 200
        assert server.ask("/", Host="evil.example").status == 400
        assert server.ask("/", "POST").status == 405
        assert server.ask("/", Sec_Fetch_Site="cross-site").status == 403
        assert "server" not in server.ask("/").headers


def test_stream_reports_new_events_with_their_position(scene: Scene) -> None:
    with served(Path(scene.queue.location.name)) as server:
        position = json.loads(server.ask("/status.json").text)["position"]
        with server.stream(f"/stream?after={position}") as lines:
            assert next(lines) == ": live"
            scene.queue.enqueue("true")
            assert _event(lines) == [f"id: {position + 1}", "event: moved", f"data: {position + 1}"]
        # A client that was disconnected while the log grew gets the event at once.
        with server.stream("/stream?after=0", Last_Event_ID=str(position)) as lines:
            assert _event(lines)[0] == f"id: {position + 1}"


def test_live_updates_continue_after_another_queue_replaced_the_file(tmp_path: Path) -> None:
    path, other = tmp_path / "queue.db", tmp_path / "other.db"
    for file, jobs in ((path, 1), (other, 3)):
        with Queue(file) as queue:
            for _ in range(jobs):
                queue.enqueue("true", cwd="/")
    with served(path) as server:
        position = json.loads(server.ask("/status.json").text)["position"]
        with server.stream(f"/stream?after={position}") as lines:
            assert next(lines) == ": live"
            path.unlink()
            assert server.ask("/jobs").status != 200
            other.rename(path)
            later = json.loads(server.ask("/status.json").text)["position"]
            assert _event(lines)[0] == f"id: {later}"


def _event(lines: Iterator[str]) -> list[str]:
    """Return the lines of the next event, without comments."""
    parts: list[str] = []
    while not parts:
        parts = [part for part in takewhile(bool, lines) if not part.startswith(":")]
    return parts


def test_pages_are_answered_while_every_stream_is_taken(scene: Scene) -> None:
    with served(Path(scene.queue.location.name)) as server, ExitStack() as open_streams:
        for _ in range(MAX_STREAMS):
            lines = open_streams.enter_context(server.stream("/stream?after=1"))
            assert next(lines) == ": live"
        with server.stream("/stream?after=1") as lines:
            answer = list(lines)
        assert "event: moved" in answer
        assert "retry: 5000" in answer
        assert server.ask("/").status == 200
        open_streams.close()
        _until_admitted(server)


def _until_admitted(server: Served) -> None:
    while True:
        with server.stream("/stream?after=1") as lines:
            if next(lines) == ": live":
                return


def test_server_stops_at_once_while_streams_are_open(scene: Scene) -> None:
    """The quickest of several counts, since other programs may delay a stop."""
    assert any(_stops_within(4, scene) for _ in range(3))


def _stops_within(limit_s: float, scene: Scene) -> bool:
    with served(Path(scene.queue.location.name)) as server, server.stream("/stream") as lines:
        assert next(lines) == ": live"
        began = time.monotonic()
        server.running.kill()
        assert server.running.process.wait(DEADLINE_S) == 0
        return time.monotonic() - began < limit_s

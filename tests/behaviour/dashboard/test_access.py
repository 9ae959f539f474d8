"""Access to the dashboard, the security headers, and that requests change nothing."""

import os
import re
from multiprocessing import get_context
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from queuectl.dashboard.app import create_app
from tests.behaviour.dashboard.feeds import PAGES, read
from tests.browser.scene import Scene
from tests.machine import OTHER_USER, needs_another_user
from tests.served import Served, served


def test_requests_that_would_change_something_are_refused(client: FlaskClient) -> None:
    before = read(client, "/status.json")["head_hash"]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for page in (*PAGES, "/jobs/1", "/status.json"):
            assert client.open(page, method=method).status_code == 405, (method, page)
    assert client.head("/").status_code == 200
    assert read(client, "/status.json")["head_hash"] == before


def test_every_answer_has_the_security_headers(client: FlaskClient) -> None:
    for page in (*PAGES, "/nowhere", "/jobs.json", "/jobs/2/output/1"):
        headers = client.get(page).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in headers


def test_pages_have_no_inline_script_or_style(client: FlaskClient) -> None:
    for page in (*PAGES, "/jobs/1"):
        text = client.get(page).text
        assert not re.search(r"<script(?![^>]* src=)", text), page
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text), page
        assert not re.search(r'(?:src|href)="(?:https?:)?//', text), page


def test_an_unknown_host_name_is_refused(client: FlaskClient) -> None:
    for host in ("evil.example", "evil.example:5000", "127.0.0.1.evil.example"):
        assert client.get("/", headers={"Host": host}).status_code == 400, host
    for host in ("localhost", "127.0.0.1:5000", "[::1]:5000"):
        assert client.get("/", headers={"Host": host}).status_code == 200, host


def test_other_sites_may_only_link_to_a_page(client: FlaskClient) -> None:
    def status(**headers: str) -> int:
        sent = {f"Sec-Fetch-{name}": value for name, value in headers.items()}
        return client.get("/jobs.json", headers=sent).status_code

    assert status(Site="same-origin", Mode="cors") == 200
    assert status(Site="none", Mode="navigate", Dest="document") == 200
    assert status(Site="cross-site", Mode="navigate", Dest="document") == 200
    assert status(Site="cross-site", Mode="navigate", Dest="iframe") == 403
    assert status(Site="cross-site", Mode="no-cors", Dest="script") == 403
    assert status(Site="same-site", Mode="cors", Dest="empty") == 403
    assert client.get("/", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/", headers={"Origin": "http://localhost"}).status_code == 200


def test_token_in_the_address_is_replaced_by_a_cookie(scene: Scene) -> None:
    client = create_app(scene.queue.location.name, token="sesame seed").test_client()
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


@needs_another_user
@pytest.mark.parametrize(("token", "refused"), [(None, 403), ("sesame", 401)])
def test_another_user_of_the_machine_is_refused(
    scene: Scene, token: str | None, refused: int
) -> None:
    with served(Path(scene.queue.location.name), f"'127.0.0.1', 0, {token!r}") as server:
        client = get_context("fork").Process(target=_ask_as_nobody, args=(server, refused))
        client.start()
        client.join(30)
        assert client.exitcode == 0


def _ask_as_nobody(server: Served, refused: int) -> None:
    os.setgid(OTHER_USER)
    os.setuid(OTHER_USER)
    assert server.ask("/").status == refused

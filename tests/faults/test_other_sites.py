"""A web page in the user's browser can neither read nor change the dashboard."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from queuectl.dashboard.app import create_app
from tests.browser.scene import Scene, story

METHODS = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND")
HOSTS = (
    "evil.example",
    "evil.example:5000",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1@evil.example",
    "127.0.0.2",
    "0.0.0.0",
    "[::2]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "",
    " ",
    "localhost, evil.example",
    "localhost\tevil.example",
)
ORIGINS = (
    "http://evil.example",
    "https://localhost",
    "http://localhost:1",
    "http://localhost.evil.example",
    "null",
    "",
    "file://",
    "http://127.0.0.1",
)
FETCHED = tuple(
    {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    for site in ("cross-site", "same-site", "anything")
    for mode, dest in (
        ("no-cors", "image"),
        ("no-cors", "script"),
        ("cors", "empty"),
        ("navigate", "iframe"),
        ("navigate", "embed"),
        ("websocket", "empty"),
        ("", ""),
    )
)
VALUES = {"job_id": "1", "attempt": "1", "filename": "queuectl.css", "name": "default"}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """The dashboard of a queue with jobs."""
    scene = Scene(tmp_path / "queue.db", 1_790_000_000_000_000)
    scene.worker("3f2a", 2, "workshop")
    story(scene)
    yield create_app(scene.queue.location.name)
    scene.queue.close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without a network."""
    return app.test_client()


@pytest.fixture
def routes(app: Flask) -> list[str]:
    """Return an address for every route, and some without a route."""
    adapter = app.url_map.bind("localhost")
    known = [
        adapter.build(rule.endpoint, {name: VALUES[name] for name in rule.arguments})
        for rule in app.url_map.iter_rules()
    ]
    assert len(known) >= 14
    return [*known, "/nowhere", "/jobs/none", "/jobs?state=lost", "/static/none.js", "/jobs/1/"]


def ask(
    client: FlaskClient, address: str, method: str = "GET", **headers: str | None
) -> TestResponse:
    """Send a request without reading the response: a stream would never end."""
    named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    answer = client.open(address, method=method, headers=named, buffered=False)
    answer.close()
    return answer


def test_no_route_accepts_a_forged_host(client: FlaskClient, routes: list[str]) -> None:
    for address in routes:
        for host in HOSTS:
            assert ask(client, address, Host=host).status_code == 400, (address, host)


def test_no_route_accepts_a_foreign_origin(client: FlaskClient, routes: list[str]) -> None:
    for address in routes:
        for origin in ORIGINS:
            assert ask(client, address, Origin=origin).status_code == 403, (address, origin)


def test_no_route_can_be_embedded_in_another_site(client: FlaskClient, routes: list[str]) -> None:
    for address in routes:
        for fetched in FETCHED:
            answer = client.get(address, headers=fetched, buffered=False)
            answer.close()
            assert answer.status_code == 403, (address, fetched)


def test_without_the_guard_every_route_answers(app: Flask, routes: list[str]) -> None:
    """The control: the guard refuses these requests; Flask and werkzeug would accept them."""
    with patch("queuectl.dashboard.access.install"):
        client = create_app(app.extensions["queue"].place).test_client()
    for address in routes:
        plain = ask(client, address).status_code
        for headers in ({"Host": "127.0.0.2"}, {"Origin": "http://evil.example"}, FETCHED[0]):
            assert ask(client, address, **headers).status_code == plain, (address, headers)
        assert "Content-Security-Policy" not in ask(client, address).headers


def test_no_route_accepts_a_method_that_writes(
    app: Flask, client: FlaskClient, routes: list[str]
) -> None:
    path = Path(app.extensions["queue"].place)
    before = sha256(path.read_bytes()).hexdigest()
    for address in routes:
        for method in METHODS:
            answer = ask(client, address, method)
            assert answer.status_code == 405, (address, method)
        override = ask(client, address, "POST", X_HTTP_Method_Override="GET")
        assert override.status_code == 405
    assert sha256(path.read_bytes()).hexdigest() == before
    for rule in app.url_map.iter_rules():
        assert (rule.methods or set()) <= {"GET", "HEAD", "OPTIONS"}


def test_every_response_has_the_policy_and_allows_no_other_site(
    client: FlaskClient, routes: list[str]
) -> None:
    tries: list[dict[str, str]] = [{}, {"Host": "evil.example"}, {"Origin": "http://evil.example"}]
    for address in routes:
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            for headers in (*tries, {"Access-Control-Request-Method": "GET"}, FETCHED[0]):
                answer = client.open(address, method=method, headers=headers, buffered=False)
                answer.close()
                _assert_limits(answer, f"{method} {address} {headers}")


def _assert_limits(answer: TestResponse, what: str) -> None:
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy, what
    assert "script-src 'self'" in policy, what
    assert "unsafe" not in policy, what
    assert answer.headers["X-Content-Type-Options"] == "nosniff", what
    assert answer.headers["X-Frame-Options"] == "DENY", what
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin", what
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


def test_without_its_token_a_protected_dashboard_shows_no_data(
    app: Flask, routes: list[str]
) -> None:
    path = app.extensions["queue"].place
    client = create_app(path, token="sesame").test_client()
    for address in routes:
        if not address.startswith("/static/"):
            for headers in ({}, {"Authorization": "Bearer open"}, {"Cookie": "queuectl-00=x"}):
                answer = client.get(address, headers=headers, buffered=False)
                answer.close()
                assert answer.status_code == 401, (address, headers)
                assert b"train.py" not in (answer.data if answer.status_code != 200 else b"")

"""Requests that no browser sends: with bodies, absolute addresses and huge numbers."""

import os
import socket
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from markupsafe import escape

from queuectl.api import Queue
from queuectl.dashboard.query_params import PARAMETERS
from tests.ctl import DEADLINE_S
from tests.served import Served, served

MEGABYTE = 1_000_000
HUGE = "9" * 22


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard in its own process."""
    path = tmp_path_factory.mktemp("requests") / "queue.db"
    Queue(path).close()
    with served(path) as server:
        yield server


def converse(server: Served, *parts: bytes) -> bytes:
    """Send these parts until the server closes the connection; return its answers."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except OSError:
            pass  # the server closed the connection; its answer can still be read
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


def head(method: str, *lines: str, target: str = "/") -> bytes:
    text = "\r\n".join((f"{method} {target} HTTP/1.1", "Host: localhost", *lines))
    return f"{text}\r\n\r\n".encode()


def written_bytes(pid: int) -> int:
    """Return how many bytes the process has written to files and sockets."""
    with open(f"/proc/{pid}/io", encoding="ascii") as table:
        return next(int(line.split()[1]) for line in table if line.startswith("wchar"))


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
def test_a_body_is_never_read(server: Served, method: str) -> None:
    """The server answers although only the header was sent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as connection:
        connection.sendall(head(method, f"Content-Length: {400 * MEGABYTE}"))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    expected = b"200 OK" if method == "GET" else b"405 METHOD NOT ALLOWED"
    assert answer.startswith(b"HTTP/1.1 " + expected)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Content-Security-Policy: default-src 'none'" in answer


def test_a_chunked_body_is_never_read(server: Served) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as connection:
        connection.sendall(head("POST", "Transfer-Encoding: chunked"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 405 ")


def test_no_client_is_invited_to_send_a_body(server: Served) -> None:
    answer = converse(server, head("POST", "Content-Length: 9", "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"100 Continue" not in answer


def test_a_body_that_is_sent_anyway_is_not_stored(server: Served) -> None:
    pid = server.running.process.pid
    before = written_bytes(pid)
    chunks = (b"x" * MEGABYTE for _ in range(20))
    converse(server, head("POST", f"Content-Length: {20 * MEGABYTE}"), *chunks)
    assert server.ask("/").status == 200
    assert written_bytes(pid) - before < MEGABYTE


def test_a_body_is_not_parsed_as_a_second_request(server: Served) -> None:
    hidden = head("GET", target="/status.json")
    answer = converse(server, head("POST", f"Content-Length: {len(hidden)}"), hidden)
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost/jobs", 200),
        ("http://127.0.0.1:5000/jobs", 200),
        ("http://evil.example/jobs", 400),
        ("https://evil.example/jobs", 400),
        ("HTTP://evil.example:80/", 400),
        ("http://localhost@evil.example/", 400),
        ("http://evil.example?x=/", 400),
        ("ftp://evil.example/", 400),
        ("//evil.example/jobs", 404),
        ("/jobs?q=http://evil.example/", 200),
    ],
)
def test_the_host_of_an_absolute_address_is_checked(
    server: Served, target: str, status: int
) -> None:
    answer = converse(server, head("GET", "Connection: close", target=target))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"X-Frame-Options: DENY" in answer


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (f"/jobs/1/output/{HUGE}", 404),
        (f"/jobs/1/output/{2**63}", 404),
        (f"/jobs/1/output/{2**63 - 1}", 200),
        ("/jobs/1/output/-1", 404),
        (f"/jobs/1/output/1?from={HUGE}", 400),
        (f"/jobs/1/output/1?from={2**63 - 1}", 200),
        (f"/jobs/1?attempt={HUGE}", 400),
        (f"/jobs/1?attempt={2**63 - 1}", 404),
        (f"/jobs/{HUGE}", 404),
        (f"/jobs/{HUGE}.json", 404),
        (f"/jobs?before={HUGE}", 400),
        (f"/jobs?before={'0' * 30 + HUGE}", 400),
        (f"/jobs?before={'0' * 5000}7", 200),
        (f"/jobs?before={'1' * 5000}", 400),
        (f"/jobs?limit={2**63 - 1}", 200),
        (f"/jobs?limit={HUGE}", 400),
        (f"/events?before={2**63 - 1}", 200),
        (f"/events?before={HUGE}", 400),
        (f"/events.json?before={HUGE}&type=dead", 400),
        (f"/stream?after={HUGE}", 400),
        (f"/stream?job=1&attempt={HUGE}", 400),
        ("/jobs?before=\u0663", 400),
        ("/jobs?before=-1", 400),
        ("/jobs?before=1.5", 400),
    ],
)
def test_huge_and_malformed_numbers_in_addresses_cause_no_error(
    client: FlaskClient, address: str, status: int
) -> None:
    answer = client.get(address, buffered=False)
    answer.close()
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("/jobs{}?since=zz", "This page has no parameter 'since'; the parameters are before, "),
        ("/jobs{}?after=zzz", "This page has no parameter 'after'; the parameters are before, "),
        ("/jobs{}?stat=dead", "This page has no parameter 'stat'; the parameters are before, "),
        ("/jobs{}?queue=a&queue=b", "queue is given 2 times; give it once."),
        ("/dlq{}?since=1e999", "This page has no parameter 'since'; the parameters are before, "),
        ("/dlq{}?state=completed", "The dead letter queue holds dead jobs only; see /jobs?state="),
        ("/events{}?types=dead", "This page has no parameter 'types'; the parameters are before, "),
        ("/upcoming{}?before=7", "This page has no parameter 'before'; the parameters are after, "),
        ("/settings{}?key=x", "This page has no parameter 'key'; the parameters are before."),
        ("/workers{}?all=1", "This page has no parameter 'all'; it has none."),
        ("/queues{}?q=x", "This page has no parameter 'q'; it has none."),
        (
            "/queues/default{}?spam=day",
            "This page has no parameter 'spam'; the parameters are ",
        ),
        ("/jobs/1{}?before=7", "This page has no parameter 'before'; the parameters are attempt."),
    ],
)
def test_an_unknown_parameter_is_refused(client: FlaskClient, address: str, error: str) -> None:
    page = client.get(address.format(""))
    assert (page.status_code, escape(error) in page.text) == (400, True)
    answer = client.get(address.format(".json"))
    assert (answer.status_code, error in answer.get_json()["error"]) == (400, True)


def test_every_page_has_a_list_of_its_parameters(client: FlaskClient) -> None:
    endpoints = client.application.view_functions.keys() - {"static"}
    assert {name.rpartition(".")[2] for name in endpoints} == PARAMETERS.keys()
    assert client.get("/stream?since=1").status_code == 400
    assert client.get("/status.json?since=1").status_code == 400
    assert client.get("/jobs/1/output/1?to=1").status_code == 400
    assert client.get("/jobs?state=dead&state=failed&token=x").status_code == 200


def test_the_error_for_a_number_names_its_bounds(client: FlaskClient) -> None:
    error = client.get("/jobs.json?before=x").get_json()["error"]
    assert error == f"before must be a whole number from 0 to {2**63 - 1}, not 'x'."
    assert os.sep not in error

"""The addresses of all pages and feeds, and a function that reads a feed."""

from typing import Any

from flask.testing import FlaskClient

PAGES = ("/", "/jobs", "/queues", "/upcoming", "/dlq", "/workers", "/events", "/settings")
FEEDS = (
    "/status.json",
    "/jobs.json",
    "/queues.json",
    "/upcoming.json",
    "/dlq.json",
    "/workers.json",
    "/events.json",
    "/settings.json",
)
NOON_US = 1_790_000_000_000_000


def read(client: FlaskClient, address: str) -> Any:
    """Return the JSON document at `address`."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return answer.get_json()

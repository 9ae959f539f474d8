"""The place of a test's queue: a file in its folder, or with `--on-server` a new queue there."""

import os
import secrets
from pathlib import Path

import pytest

from eventstore.location import create_on_server
from projections.registry import first_schema

SERVER = "QUEUECTL_TESTS_SERVER"
"""The address of the server for all queues; `NAME` in it is replaced by the name of the queue."""


def new_place(file: Path) -> str:
    """Return the place of a new queue: the path of the file, which does not exist, or a URL."""
    server = os.environ.get(SERVER)
    if server is None:
        return str(file)
    url = server.replace("NAME", f"test-{secrets.token_hex(6)}")
    create_on_server(url, first_schema)
    return url


def file_of(file: Path) -> Path:
    """Return the path of the queue file. Skips the test if its queue is on a server."""
    if SERVER in os.environ:
        pytest.skip("this test is about a queue file")
    return file

"""The stores that the same tests check: files, and servers where they are installed."""

import os
from typing import Any

import pytest

from eventstore.store import Store
from projections.registry import first_schema
from tests.postgres import installations

_INSTALLED = [*installations()] or ["none"]

ALL_SERVERS = "QUEUECTL_TESTS_ALL_SERVERS" in os.environ
"""Whether `--prove` tests all installations, instead of the oldest and the newest."""

OLDEST_AND_NEWEST = list(dict.fromkeys([_INSTALLED[0], _INSTALLED[-1]]))
"""Installations with both ways to wait for the disk."""


def _servers() -> list[object]:
    """Return the installations as parameters. `make test` takes the first, `make prove` both."""
    first, *others = _INSTALLED if ALL_SERVERS else OLDEST_AND_NEWEST
    return [first, *(pytest.param(name, marks=pytest.mark.proof) for name in others)]


SAMPLED_SERVERS = _INSTALLED if ALL_SERVERS else OLDEST_AND_NEWEST

ON_A_SERVER = pytest.mark.parametrize("kind", _servers(), indirect=True)
"""The test runs with a queue on a server."""

EVERY_STORE = pytest.mark.parametrize("kind", ["sqlite", *_servers()], indirect=True)
"""The test runs with a queue in a file, and with one on a server."""


def open_on_server(
    url: str,
    *,
    create: bool = False,
    readonly: bool = False,
    wall_us: object = None,
    folder: str = "/nowhere",
    **options: Any,
) -> Store:
    """Open a queue on a server, as `open_store` does it with a file.

    folder: path of this machine's folder of the queue.
    """
    from eventstore.postgres.address import address_from
    from eventstore.postgres.creating import create as create_queue
    from eventstore.postgres.store import PostgresStore

    if wall_us is not None:
        pytest.skip("a server has a clock of its own")
    address = address_from(url)
    if create:
        create_queue(address, first_schema)
    return PostgresStore(address, lambda _: folder, readonly=readonly, **options)

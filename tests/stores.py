"""The stores that the same tests check: files, and servers where they are installed."""

import os
from typing import Any

import pytest

from eventstore.store import Store
from projections.registry import first_schema
from tests.postgres import installations
from tests.torture.proof import PROVE

_INSTALLED = [*installations()] or ["none"]


def _servers() -> list[object]:
    """Return the installations as parameters. `make test` takes the first, `make prove` all."""
    first, *others = _INSTALLED
    return [first, *(pytest.param(name, marks=pytest.mark.proof) for name in others)]


OLDEST_AND_NEWEST = sorted({_INSTALLED[0], _INSTALLED[-1]})
"""Installations with both ways to wait for the disk. For sampled proofs, in `make test`."""

SAMPLED_SERVERS = _INSTALLED if os.environ.get(PROVE) else OLDEST_AND_NEWEST

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

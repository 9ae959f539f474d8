"""Whose process asks: on one machine the kernel knows the user behind a connection."""

import ipaddress
import os
import sys
from typing import Any


def stranger(environ: dict[str, Any]) -> bool:
    """Whether the request comes from another user of this machine; root is nobody's stranger.

    Known on Linux, for connections over the loopback. False where it cannot be known: such a peer
    has a network between, and is kept out by the address we are bound to.
    """
    port = environ.get("REMOTE_PORT")
    address = environ.get("REMOTE_ADDR", "")
    if port is None or not sys.platform.startswith("linux") or not _loopback(address):
        return False
    owner = _owner(address, int(port), int(environ.get("SERVER_PORT", 0)))
    return owner not in (None, 0, os.geteuid())


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _owner(address: str, port: int, server_port: int) -> int | None:
    """User id of the socket at `address`:`port` that is connected to `server_port`."""
    family = "tcp6" if ":" in address else "tcp"
    here, there = f":{port:04X}", f":{server_port:04X}"
    try:
        table = open(f"/proc/net/{family}", encoding="ascii")  # noqa: SIM115
    except OSError:
        return None
    with table:
        for line in table:
            fields = line.split()
            if fields[1].endswith(here) and fields[2].endswith(there):
                return int(fields[7])
    return None

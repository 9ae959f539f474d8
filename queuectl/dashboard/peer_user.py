"""Find the user of the process at the other end of a connection within this machine."""

import ipaddress
import os
import sys
from typing import Any


def is_other_user(environ: dict[str, Any]) -> bool:
    """Return whether the request comes from another user of this machine who is not root.

    environ: the WSGI environment. The user is known on Linux, for connections over the loopback
    interface. Returns False for other connections: the address that the server is bound to
    decides whether other machines can connect.
    """
    port = environ.get("REMOTE_PORT")
    address = environ.get("REMOTE_ADDR", "")
    if port is None or not sys.platform.startswith("linux") or not _is_loopback(address):
        return False
    owner = _owner(address, int(port), int(environ.get("SERVER_PORT", 0)))
    return owner not in (None, 0, os.geteuid())


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _owner(address: str, port: int, server_port: int) -> int | None:
    """Return the id of the user who owns the client's socket; None if it is unknown.

    The socket has `port` and is connected to `server_port`; address: only its family is used.
    """
    family = "tcp6" if ":" in address else "tcp"
    local, remote = f":{port:04X}", f":{server_port:04X}"
    try:
        table = open(f"/proc/net/{family}", encoding="ascii")  # noqa: SIM115
    except OSError:
        return None
    with table:
        for line in table:
            fields = line.split()
            if fields[1].endswith(local) and fields[2].endswith(remote):
                return int(fields[7])
    return None

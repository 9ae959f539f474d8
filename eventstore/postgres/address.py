"""Where a queue is: a server and its database, as libpq names them, and a schema."""

import os
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from ..errors import InvalidAddress

DEFAULT_SCHEMA = "queuectl"
LONGEST_BYTES = 63
"""PostgreSQL cuts longer names without an error, so two queues could have the same name."""


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


class Address(NamedTuple):
    """A queue on a server."""

    url: str
    """How libpq connects. May contain a password."""
    schema: str
    label: str
    """The URL as a person may read it: without the password."""

    @property
    def quoted_schema(self) -> str:
        """The schema as an SQL identifier."""
        return quoted(self.schema)


def address_from(url: str) -> Address:
    """Return the address in `postgresql://user@host/database?queue=NAME`.

    Other parameters are libpq's. Raises InvalidAddress.
    """
    parts = urlsplit(url)
    parameters = [part for part in parts.query.split("&") if part]
    if parts.fragment or "@" in parts.path or any("=" not in part for part in parameters):
        what = "write / ? # and @ in a user or password as %2F %3F %23 %40"
        raise InvalidAddress(f"{parts.scheme}://…", what)  # the parts may contain the password
    names = [unquote(part[6:]) for part in parameters if part.startswith("queue=")]
    schema = names[-1] if names else DEFAULT_SCHEMA
    user, at, host = parts.netloc.rpartition("@")
    public = parts._replace(netloc=user.partition(":")[0] + at + host)
    hidden = ("password=", "sslpassword=")
    label = _with(public, [part for part in parameters if not part.startswith(hidden)])
    if parts.scheme not in ("postgresql", "postgres"):
        raise InvalidAddress(label, "it does not begin with postgresql://")
    if not 0 < len(schema.encode()) <= LONGEST_BYTES or "\0" in schema:
        raise InvalidAddress(label, f"the name of a queue has 1 to {LONGEST_BYTES} bytes")
    server = _with(parts, [part for part in parameters if not part.startswith("queue=")])
    return Address(server, schema, label)


def direct(address: Address) -> Address:
    """Return the address of the same queue that `QUEUECTL_DB_DIRECT` names; `address` without it.

    It leads to the server without a pooler, which may pass each transaction to another process of
    the server: no notification arrives through it. Raises InvalidAddress.
    """
    url = os.environ.get("QUEUECTL_DB_DIRECT")
    return address_from(url)._replace(schema=address.schema) if url else address


def _with(parts: SplitResult, parameters: list[str]) -> str:
    """Return the URL. `urlunsplit` would leave out the slashes before an empty host."""
    query = f"?{'&'.join(parameters)}" if parameters else ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query}"

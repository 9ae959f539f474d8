"""Where a queue is: a server and its database, as libpq names them, and a schema."""

import os
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from ..errors import InvalidAddress

DEFAULT_SCHEMA = "queuectl"
LONGEST_BYTES = 63
"""PostgreSQL cuts longer names without an error, so two queues could have the same name."""

_SECRET = {
    "password",
    "sslpassword",
    "scram_client_key",
    "scram_server_key",
    "oauth_client_secret",
}
"""Parameters that no label contains."""

# Source: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_SHOWN = """
    queue host hostaddr port dbname user passfile require_auth channel_binding connect_timeout
    client_encoding options application_name fallback_application_name keepalives keepalives_idle
    keepalives_interval keepalives_count tcp_user_timeout replication gssencmode sslmode
    requiressl sslnegotiation sslcompression sslcert sslkey sslkeylogfile sslcertmode sslrootcert
    sslcrl sslcrldir sslsni requirepeer ssl_min_protocol_version ssl_max_protocol_version
    min_protocol_version max_protocol_version krbsrvname gsslib gssdelegation service servicefile
    target_session_attrs load_balance_hosts oauth_issuer oauth_client_id oauth_scope"""
"""Parameters whose values a label contains. Any other name may be a mistyped `password`."""


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def with_bindings(identifier: str) -> str:
    """Return an SQL identifier for a statement with bindings, in which psycopg looks for `%`."""
    return identifier.replace("%", "%%")


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


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
    label = _with(public, _shown(parameters))
    if parts.scheme not in ("postgresql", "postgres"):
        raise InvalidAddress(label, "it does not begin with postgresql://")
    if not 0 < len(schema.encode()) <= LONGEST_BYTES or "\0" in schema:
        raise InvalidAddress(label, f"the name of a queue has 1 to {LONGEST_BYTES} bytes")
    if schema.startswith("pg_"):
        raise InvalidAddress(label, "PostgreSQL reserves names that begin with pg_")
    server = _with(parts, [part for part in parameters if not part.startswith("queue=")])
    return Address(server, schema, label)


def direct(address: Address) -> Address:
    """Return the address of the same queue that `QUEUECTL_DB_DIRECT` names; `address` without it.

    It leads to the server without a pooler, which may pass each transaction to another process of
    the server: no notification arrives through it. Its label names the variable. Raises
    InvalidAddress.
    """
    url = os.environ.get("QUEUECTL_DB_DIRECT")
    if not url:
        return address
    try:
        named = address_from(url)
    except InvalidAddress as error:
        raise InvalidAddress(f"QUEUECTL_DB_DIRECT ({error.label})", error.what) from None
    return named._replace(schema=address.schema, label=f"QUEUECTL_DB_DIRECT ({named.label})")


def _shown(parameters: list[str]) -> list[str]:
    """Return the parameters as a person may read them."""
    shown = set(_SHOWN.split())
    parts = [(part, part.partition("=")[0]) for part in parameters]
    return [part if name in shown else f"{name}=…" for part, name in parts if name not in _SECRET]


def _with(parts: SplitResult, parameters: list[str]) -> str:
    """Return the URL. `urlunsplit` would leave out the slashes before an empty host."""
    query = f"?{'&'.join(parameters)}" if parameters else ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query}"

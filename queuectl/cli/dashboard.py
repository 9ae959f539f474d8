"""`dashboard`: the read-only pages."""

import os
import socket

import click

from ..errors import BadInput
from . import options


@click.command(
    "dashboard",
    epilog=options.examples("queuectl dashboard", "queuectl dashboard --port 8080 --open"),
)
@click.option("--host", metavar="H", default="127.0.0.1", help="Address to listen on (127.0.0.1).")
@click.option(
    "--port",
    metavar="P",
    type=click.IntRange(0, 65535),
    default=5000,
    help="Port (5000); 0 is any.",
)
@click.option("--token", metavar="T", envvar="QUEUECTL_TOKEN", help="Ask each visitor for this.")
@click.option("--prefix", metavar="PATH", default="", help="The path under which a proxy shows it.")
@click.option(
    "--trust-host", "trusted", metavar="H", multiple=True, help="Also answer as this host."
)
@click.option("--open", "open_browser", is_flag=True, help="Open it in the browser.")
def dashboard_command(
    host: str,
    port: int,
    token: str | None,
    prefix: str,
    trusted: tuple[str, ...],
    open_browser: bool,
) -> None:
    """Serve read-only pages at http://127.0.0.1:5000."""
    from ..dashboard.serve import serve

    _refuse_unknown(host)
    with options.open_queue() as queue:  # made where missing, brought up to date where old
        path = queue.location.path
    try:
        serve(path, host, port, token, open_browser, prefix=prefix, trusted_hosts=trusted)
    except OSError as error:
        raise BadInput(f"{host}:{port}: {os.strerror(error.errno or 0)}; choose another") from None


def _refuse_unknown(host: str) -> None:
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        raise BadInput(f"{host}: {error.strerror}; name an address of this machine") from None
    except UnicodeError:  # a part of it is too long, or empty
        raise BadInput(f"{host:.100} is no host; name an address of this machine") from None

"""The server: waitress, threads enough for pages beside the streams, and an orderly end."""

import signal
import sys
import webbrowser
from ipaddress import ip_address
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import quote

from flask import Flask
from waitress.server import create_server

from .app import STREAMS, create_app
from .log_watcher import Pulse
from .request_bodies import refuse_bodies

PAGES = 8
"""Threads for pages, when all streams are taken."""


def serve(
    path: str,
    host: str,
    port: int,
    token: str | None = None,
    open_browser: bool = False,
    *,
    prefix: str = "",
    trusted_hosts: tuple[str, ...] = (),
) -> None:
    """Serve the queue file at `path` until INT or TERM; port 0 is any free one.

    prefix: the path under which a proxy shows us: empty, or as `addresses.prefix` returns it.
    Prints the address on stderr. Raises OSError if it cannot be bound.
    """
    app = create_app(path, host=host, token=token, trusted_hosts=trusted_hosts)
    _warm_up(app)
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=sockets,
        host=host,
        port=port,
        threads=STREAMS + PAGES,
        # Requests that never end are many and cheap; waitress would stop at a hundred.
        connection_limit=1_000,
        url_prefix=prefix,
        # One request read ahead: so a stream learns at once that its reader has gone.
        channel_request_lookahead=1,
        ident=None,
        clear_untrusted_proxy_headers=True,
    )
    refuse_bodies(sockets)
    address = f"http://{_shown(host)}:{_port(server)}{prefix}/"
    print(f"dashboard of {path} at {address} (Ctrl-C stops it)", file=sys.stderr, flush=True)
    if not token and not _only_here(host):
        text = "warning: anyone who can reach this address can read the pages; set QUEUECTL_TOKEN"
        print(text, file=sys.stderr)
    if token:
        _say_how_to_enter(f"{address}?token={quote(token)}")
    if open_browser:  # without the token: a browser's arguments are in the process list
        webbrowser.open(address)
    _stop_on_signals(app.extensions["pulse"])
    try:
        server.run()
    finally:
        server.close()


def _say_how_to_enter(link: str) -> None:
    """Print the link with the token, but only on a terminal: other output may end in a log."""
    if sys.stderr.isatty():
        print(f"open it once with the token: {link}", file=sys.stderr, flush=True)
    else:
        print("visitors are asked for the access token", file=sys.stderr, flush=True)


def _warm_up(app: Flask) -> None:
    """Compile the pages now, so that the first visitor does not wait for it."""
    for name in app.jinja_env.list_templates(["html"]):
        app.jinja_env.get_template(name)


def _only_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    if host in ("", "0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _port(server: Any) -> int:
    """A name such as localhost may stand for several addresses, and then there are several."""
    if hasattr(server, "effective_listen"):
        return int(server.effective_listen[0][1])
    return int(server.effective_port)


def _stop_on_signals(pulse: Pulse) -> None:
    def stop(_: int, __: FrameType | None) -> NoReturn:
        pulse.close()  # first: waitress waits for its threads, and streams hold theirs
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)

"""The HTTP server: waitress with threads for pages and for streams, stopped by signals."""

import signal
import sys
import webbrowser
from ipaddress import ip_address
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import quote

from flask import Flask
from waitress.server import create_server

from eventstore.location import label_of

from .app import MAX_STREAMS, create_app
from .log_watcher import LogWatcher
from .request_bodies import refuse_bodies

PAGE_THREADS = 8
"""The number of threads that remain for pages if all streams are open."""


def serve(
    place: str,
    host: str,
    port: int,
    token: str | None = None,
    open_browser: bool = False,
    *,
    prefix: str = "",
    trusted_hosts: tuple[str, ...] = (),
) -> None:
    """Serve the queue at `place` until SIGINT, SIGTERM or SIGHUP; port 0 picks a free one.

    prefix: the URL path under which a proxy shows the pages: empty, or as `addresses.prefix`
    returns it. Prints the address on stderr. Raises OSError if the server cannot listen there.
    """
    app = create_app(place, host=host, token=token, trusted_hosts=trusted_hosts)
    _warm_up(app)
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=sockets,
        host=host,
        port=port,
        threads=MAX_STREAMS + PAGE_THREADS,
        # Streams keep their connections open; waitress's default is 100 connections.
        connection_limit=1_000,
        url_prefix=prefix,
        # Reading one request ahead lets a stream notice at once that its client disconnected.
        channel_request_lookahead=1,
        ident=None,
        clear_untrusted_proxy_headers=True,
    )
    refuse_bodies(sockets)
    address = f"http://{_url_host(host)}:{_port(server)}{prefix}/"
    where = f"{address}, on all addresses of this machine" if host in _ALL else address
    print(
        f"dashboard of {label_of(place)} at {where} (Ctrl-C stops it)", file=sys.stderr, flush=True
    )
    if not token and not _is_local(host):
        text = "warning: anyone who can reach this address can read the pages; set QUEUECTL_TOKEN"
        print(text, file=sys.stderr)
    if token:
        _print_token_link(f"{address}?token={quote(token)}")
    if open_browser:  # without the token, since arguments of processes are public
        webbrowser.open(address)
    _stop_on_signals(app.extensions["log_watcher"])
    try:
        server.run()
    finally:
        server.close()


def _print_token_link(link: str) -> None:
    """Print the link with the token, but only on a terminal: other output may be stored in logs."""
    if sys.stderr.isatty():
        print(f"open it once with the token: {link}", file=sys.stderr, flush=True)
    else:
        print("visitors are asked for the access token", file=sys.stderr, flush=True)


def _warm_up(app: Flask) -> None:
    """Compile the templates now, so that the first request is not slow."""
    for name in app.jinja_env.list_templates(["html"]):
        app.jinja_env.get_template(name)


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_ALL = ("", "0.0.0.0", "::")
"""Hosts that mean all addresses of the machine."""


def _url_host(host: str) -> str:
    if host in _ALL:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _port(server: Any) -> int:
    """Return the port of a server, or of its first socket if the host has several addresses."""
    if hasattr(server, "effective_listen"):
        return int(server.effective_listen[0][1])
    return int(server.effective_port)


def _stop_on_signals(log_watcher: LogWatcher) -> None:
    def stop(_: int, __: FrameType | None) -> NoReturn:
        log_watcher.close()  # first, since waitress waits for the threads of the streams
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)

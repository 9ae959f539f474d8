"""Make waitress ignore request bodies: a read-only server needs none. See docs/decisions/0006."""

from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer


class _WithoutBody(HTTPRequestParser):  # type: ignore[misc]
    """A parser for which a request is complete at the end of its header.

    A request with a body is answered like one without, and its connection is closed afterwards, so
    that the bytes of the body are never parsed as another request. `100 Continue` is never sent.
    """

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        self.expect_continue = False
        if self.body_rcv is not None:  # type: ignore[has-type]
            self.close()
            self.body_rcv = None
            self.chunked = False
            self.content_length = 0
            self.headers.pop("CONTENT_LENGTH", None)
            self.headers["CONNECTION"] = "close"
            self.connection_close = True


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _WithoutBody


def refuse_bodies(sockets: dict[int, Any]) -> None:
    """Make the servers among waitress's `sockets` (by descriptor) read no request bodies."""
    for server in sockets.values():
        if isinstance(server, BaseWSGIServer):
            server.channel_class = _Channel

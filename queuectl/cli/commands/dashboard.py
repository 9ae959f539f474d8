"""`dashboard`: serve the read-only pages."""

import os
import socket
import sys
from collections.abc import Callable

import click

from eventstore.location import locate

from ...errors import BadInput
from ..ui import options
from ..ui.invocation import named_db
from ..ui.param_types import Whole
from ..ui.printer import end_line

_LONGEST_TOKEN = 10_000


@click.command(
    "dashboard",
    epilog=options.examples("queuectl dashboard", "queuectl dashboard --port 8080 --open"),
)
@click.option("--host", metavar="H", default="127.0.0.1", help="Listen on H [default: 127.0.0.1].")
@click.option(
    "--port",
    metavar="P",
    type=Whole(0, 65535),
    default=5000,
    help="Port; 0 picks a free one [default: 5000].",
)
@click.option(
    "--token",
    metavar="T",
    envvar="QUEUECTL_TOKEN",
    help="Require this access token; - reads it from stdin. Other users can see T in the process"
    " list: prefer $QUEUECTL_TOKEN or --token-file.",
)
@click.option(
    "--token-file",
    metavar="F",
    shell_complete=options.completed_by("files"),
    help="Read the access token from file F.",
)
@click.option("--prefix", metavar="PATH", default="", help="URL prefix behind a reverse proxy.")
@click.option(
    "--trust-host", "trusted", metavar="H", multiple=True, help="Additional allowed host name."
)
@click.option("--open", "open_browser", is_flag=True, help="Open the pages in a browser.")
def dashboard_command(
    host: str,
    port: int,
    token: str | None,
    token_file: str | None,
    prefix: str,
    trusted: tuple[str, ...],
    open_browser: bool,
) -> None:
    """Serve a read-only dashboard at http://127.0.0.1:5000."""
    from ...dashboard import addresses
    from ...dashboard.serve import serve

    _refuse_unknown_host(host)
    path_prefix = _parsed("--prefix", addresses.prefix, prefix)
    names = tuple(_parsed("--trust-host", addresses.host_name, name) for name in trusted)
    access_token = _token(token, token_file)
    location = locate(named_db())
    with options.open_queue(create=False):  # migrates an old queue file
        place = location.place
    try:
        serve(
            place, host, port, access_token, open_browser, prefix=path_prefix, trusted_hosts=names
        )
    except OSError as error:
        raise BadInput(f"{host}:{port}: {os.strerror(error.errno or 0)}; choose another") from None
    end_line()


def _parsed(option: str, parse: Callable[[str], str], text: str) -> str:
    """Return what `parse` returns for the text of an option. Raises BadInput for a ValueError."""
    try:
        return parse(text)
    except ValueError as error:
        raise BadInput(f"{option}: {error}") from None


def _token(value: str | None, file: str | None) -> str | None:
    """Return the access token; None if no token is required.

    value: from --token or $QUEUECTL_TOKEN; `-` reads stdin. file: from --token-file. Raises
    BadInput for a token that is empty, is not UTF-8, or cannot be read.
    """
    if file is not None:
        if value is not None and _is_typed("token"):
            raise BadInput("give either --token or --token-file, not both")
        return _not_empty("--token-file", _read_token(file))
    if value == "-":
        return _not_empty("--token", _text_of(sys.stdin.buffer.read(_LONGEST_TOKEN), "stdin"))
    return None if value is None else _not_empty("--token", value)


def _is_typed(option: str) -> bool:
    """Return whether the option is on the command line, not only in the environment."""
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


def _read_token(file: str) -> str:
    try:
        with open(file, "rb") as opened:
            return _text_of(opened.read(_LONGEST_TOKEN), file)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise BadInput(f"--token-file {file:.200}: {reason}; name a readable file") from None


def _text_of(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadInput(f"the token in {where:.200} is not UTF-8; write it as text") from None


def _not_empty(option: str, token: str) -> str:
    if not token.strip():
        raise BadInput(f"{option}: the token is empty; give a long random text")
    return token.strip()


def _refuse_unknown_host(host: str) -> None:
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        raise BadInput(f"{host}: {error.strerror}; name an address of this machine") from None
    except UnicodeError:  # a label of the name is too long or empty
        raise BadInput(f"{host:.100} is no host; name an address of this machine") from None

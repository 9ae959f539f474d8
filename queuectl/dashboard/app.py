"""The Flask app, which shows one queue file and never writes to it."""

import hashlib
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException, SecurityError

import queuectl
from eventstore.errors import ForeignFile, NoHome, StoreError
from eventstore.location import label_of, locate

from . import access, template_filters
from .connections import Source
from .html_routes import html_blueprint, render_page, source
from .json_routes import json_blueprint
from .json_shapes import ErrorDocument
from .log_watcher import LogWatcher
from .query_params import refuse_unknown_parameters

MAX_STREAMS = 16
"""The maximum number of open streams of events. Each occupies a thread; further pages poll."""

_HERE = Path(__file__).parent


def create_app(
    place: str,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    trusted_hosts: tuple[str, ...] = (),
) -> Flask:
    """Return the app for the queue at `place` (that of its Location), bound to `host`.

    token: the access token; None allows everyone who can connect, except other users of this
    machine. trusted_hosts: further `Host` names to answer to, such as the name of a proxy.
    """
    app = Flask(__name__, static_url_path=f"/static/{_digest(_HERE / 'static')}")
    # Browsers may cache for a year: the digest in the address changes with the content.
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 31_536_000
    source = Source(place)
    app.extensions["queue"] = source
    app.extensions["log_watcher"] = LogWatcher(source, MAX_STREAMS)
    access.install(app, token, access.trusted_hosts(host, trusted_hosts))
    app.before_request(refuse_unknown_parameters)
    template_filters.install(app)
    app.jinja_env.globals.update(
        ctl=_commands(place),
        db_option=_db_option(place),
        queue_place=label_of(place),
        version=queuectl.__version__,
        zone=_zone,
    )
    app.register_blueprint(html_blueprint)
    app.register_blueprint(json_blueprint)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(StoreError, _unreadable)
    return app


def _db_option(place: str) -> str:
    """Return ` --db PLACE`, or nothing if commands use this queue without it in any directory."""
    return "" if _is_own(place) else f" --db {shlex.quote(label_of(place))}"


def _commands(place: str) -> Callable[..., str]:
    """Return a function that formats a command line for this queue from a subcommand's words."""
    option = _db_option(place)

    def ctl(*words: object) -> str:
        typed = [str(word) for word in words]
        split = typed.index("--") if "--" in typed else len(typed)
        rest = shlex.join(typed[split:])
        return f"queuectl {shlex.join(typed[:split])}{option}{' ' if rest else ''}{rest}"

    return ctl


def _is_own(place: str) -> bool:
    """Return whether commands without `--db` use this queue in any working directory."""
    try:
        return locate() == (place, "your own")
    except (ForeignFile, NoHome):  # the working directory contains a foreign link
        return False


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _zone() -> str:
    offset = time.strftime("%z")
    return f"{time.strftime('%Z')} (UTC{offset[:3]}:{offset[3:]})"


def _refused(error: HTTPException) -> Response:
    if isinstance(error, SecurityError):  # malformed Host: no page with links can be built
        return Response(f"{error.description}\n", 400, mimetype="text/plain")
    return _error(error.code or 500, error.name, error.description or "")


def _unreadable(error: StoreError) -> Response:
    return _error(503, "The queue cannot be read", str(error))


def _error(code: int, title: str, text: str) -> Response:
    if request.path.endswith(".json"):
        answer: Response = Response(
            msgspec.json.encode(ErrorDocument(error=text)), mimetype="application/json"
        )
    else:
        answer = Response(_error_page(code, title, text))
    answer.status_code = code
    return answer


def _error_page(code: int, title: str, text: str) -> str:
    """Return the HTML page of an error, with the menu of all pages if the queue is readable."""
    try:
        if code in (400, 404):
            with source().read() as tx:
                return render_page(tx, "error.html", code=code, title=title, text=text, still=True)
    except StoreError:
        pass
    return render_template("error.html", code=code, title=title, text=text)

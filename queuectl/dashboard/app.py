"""The factory: a Flask app over one queue file, which it only reads."""

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
from eventstore.location import locate

from . import access, template_filters
from .connections import Source
from .html_routes import page, pages, source
from .json_routes import feeds
from .json_shapes import ErrorDocument
from .log_watcher import Pulse
from .query_params import refuse_unknown_parameters

STREAMS = 16
"""Live pages at a time; each holds a thread. Further ones poll."""

_HERE = Path(__file__).parent


def create_app(
    path: str,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    trusted_hosts: tuple[str, ...] = (),
) -> Flask:
    """The app for the queue file at `path` (absolute), bound to `host`.

    token: what one must know to look; null lets in whoever reaches us, but no other user of this
    machine. trusted_hosts: further `Host` names to answer to, where a proxy stands before us.
    """
    app = Flask(__name__, static_url_path=f"/static/{_digest(_HERE / 'static')}")
    # The digest in its address changes with the content.
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 31_536_000
    source = Source(path)
    app.extensions["queue"] = source
    app.extensions["pulse"] = Pulse(source, STREAMS)
    access.install(app, token, access.trusted_hosts(host, trusted_hosts))
    app.before_request(refuse_unknown_parameters)
    template_filters.install(app)
    app.jinja_env.globals.update(
        ctl=_commands(path),
        db_option=_db_option(path),
        queue_path=path,
        version=queuectl.__version__,
        zone=_zone,
    )
    app.register_blueprint(pages)
    app.register_blueprint(feeds)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(StoreError, _unreadable)
    return app


def _db_option(path: str) -> str:
    """` --db PATH`, unless a person reaches this queue without it from any directory."""
    return "" if _is_own(path) else f" --db {shlex.quote(path)}"


def _commands(path: str) -> Callable[..., str]:
    """A function that writes the command line for this very queue, with the subcommand first."""
    option = _db_option(path)

    def ctl(*words: object) -> str:
        typed = [str(word) for word in words]
        split = typed.index("--") if "--" in typed else len(typed)
        rest = shlex.join(typed[split:])
        return f"queuectl {shlex.join(typed[:split])}{option}{' ' if rest else ''}{rest}"

    return ctl


def _is_own(path: str) -> bool:
    """Whether it is the queue that is used, in any directory, when none is named."""
    try:
        return locate() == (path, "your own")
    except (ForeignFile, NoHome):  # a stranger's link, where we happen to stand
        return False


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            found.update(file.read_bytes())
    return found.hexdigest()[:12]


def _zone() -> str:
    offset = time.strftime("%z")
    return f"{time.strftime('%Z')} (UTC{offset[:3]}:{offset[3:]})"


def _refused(error: HTTPException) -> Response:
    if isinstance(error, SecurityError):  # a Host of no known form: no address can be built on it
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
    """With the frame of the other pages, as far as the queue can be read."""
    try:
        if code in (400, 404):
            with source().read() as tx:
                return page(tx, "error.html", code=code, title=title, text=text, still=True)
    except StoreError:
        pass  # then the plain one must do
    return render_template("error.html", code=code, title=title, text=text)

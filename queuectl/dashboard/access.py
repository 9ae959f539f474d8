"""Access to the pages: checks of host, site, token and user, and the security headers."""

import hashlib
import hmac
import ipaddress
import re
import socket

from flask import Flask, Request, Response, abort, current_app, redirect, request

from queuectl.escape import visible

from .peer_user import is_other_user

TOKEN = "token"
"""The URL parameter that contains the access token."""

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "font-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}

HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def install(app: Flask, token: str | None, hosts: frozenset[str]) -> None:
    """Check each request to the app, and add the security headers to each response.

    token: the access token; None if no token is required. hosts: accepted `Host` names.
    """
    app.config["TOKEN"] = token
    # Flask's TRUSTED_HOSTS cannot contain IPv6 addresses: werkzeug 3.1 cuts its entries at the
    # first colon.
    app.config["HOSTS"] = hosts
    app.before_request(_refuse_other_hosts)
    app.before_request(_refuse_changes)
    app.before_request(_refuse_other_sites)
    app.before_request(_require_token)
    app.after_request(_add_headers)


def trusted_hosts(host: str, more: tuple[str, ...] = ()) -> frozenset[str]:
    """Return the `Host` names that a server bound to `host` answers to, in lower case.

    Other names are refused, since a site of an attacker can have a name that leads to this server
    (DNS rebinding).
    more: further names.
    """
    names = {"localhost", "127.0.0.1", "[::1]", *more}
    if _is_unspecified(host):
        own_name = socket.gethostname()
        names |= {own_name, *_addresses(own_name)}
    elif host:
        names.add(f"[{host}]" if ":" in host else host)
    return frozenset(name.lower() for name in names)


def _is_unspecified(host: str) -> bool:
    """Return whether a server bound to `host` listens on all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""


def _addresses(name: str) -> set[str]:
    try:
        entries = socket.getaddrinfo(name, None)
    except OSError:
        return set()
    addresses = {str(entry[4][0]).partition("%")[0] for entry in entries}
    return {f"[{address}]" if ":" in address else address for address in addresses}


def _refuse_other_hosts() -> Response | None:
    hosts = (request.headers.get("Host", ""), *_host_in_request_line())
    for host in hosts:
        name = re.sub(r":[0-9]*$", "", host).lower()
        if name not in current_app.config["HOSTS"]:
            return _unknown_host(name)
    return None


def _host_in_request_line() -> list[str]:
    """Return the host of `GET http://host/path HTTP/1.1`, which takes precedence over `Host`."""
    scheme, separator, rest = request.environ.get("REQUEST_URI", "").partition("://")
    if not separator or not scheme.isalnum():
        return []
    return [re.split(r"[/?#]", rest, maxsplit=1)[0]]


def _unknown_host(name: str) -> Response:
    text = (
        f"The host name {visible(name[:100])!r} is not allowed;"
        " start the dashboard with --trust-host NAME to allow it.\n"
    )
    return Response(text, 400, mimetype="text/plain")


def _refuse_changes() -> None:
    if request.method not in ("GET", "HEAD"):
        abort(405, "These pages are read-only.")


def _refuse_other_sites() -> None:
    """Refuse requests from pages of other sites, such as fetches and images. Links are allowed."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    link = (
        request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )
    if site not in ("none", "same-origin") and not link:
        abort(403, "Another website requested this page; open it directly instead.")
    origin = request.headers.get("Origin")
    if origin is not None and origin != request.host_url.rstrip("/"):
        abort(403, "Another website requested this page; open it directly instead.")


def _require_token() -> Response | None:
    """Require the token if there is one; without one, refuse other users of this machine."""
    if request.endpoint == "static":
        return None
    token: str | None = current_app.config["TOKEN"]
    if token is None:
        if is_other_user(request.environ):
            abort(403, "Only its own user may read this dashboard; set QUEUECTL_TOKEN to share it.")
        return None
    typed = request.args.get(TOKEN)
    if typed is not None and _equal(typed.strip(), token):
        return _redirect_with_cookie(token)
    if not _has_token(request, token):
        abort(401, "Enter the access token of this dashboard.")
    return None


def _has_token(request: Request, token: str) -> bool:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _equal(credentials.strip(), token):
        return True
    return _equal(request.cookies.get(_cookie_name(), ""), _cookie_value(token))


def _redirect_with_cookie(token: str) -> Response:
    """Redirect to the address without the token, and set the cookie that replaces the token."""
    answer = redirect(request.script_root + request.path, 303)
    answer.set_cookie(
        _cookie_name(),
        _cookie_value(token),
        path=request.script_root + "/",
        httponly=True,
        samesite="Strict",
        secure=request.is_secure,
    )
    return answer  # type: ignore[return-value]


def _cookie_name() -> str:
    """Return a name that contains the port, since all ports of a host share their cookies."""
    return "queuectl-" + re.sub(r"\D", "", request.host.rpartition(":")[2]).rjust(2, "0")


def _cookie_value(token: str) -> str:
    return hashlib.sha256(b"queuectl dashboard\n" + token.encode()).hexdigest()


def _equal(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    response.headers.pop("Server", None)
    return response

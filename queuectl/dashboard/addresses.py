"""Normalise the URL prefix and the host names that a person typed."""

import re
from urllib.parse import urlsplit

_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\]")


def prefix(text: str) -> str:
    """Return `/queue` for `queue`, `/queue/` and `/queue`; an empty text for `/` and for itself.

    Raises ValueError, with the reason, if the text cannot be the path of a URL.
    """
    segments = [part for part in text.strip().split("/") if part]
    for part in segments:
        if part in (".", "..") or not _SEGMENT.fullmatch(part):
            raise ValueError(f"{text!r:.100} is not a path such as /queue")
    return "".join(f"/{part}" for part in segments)


def host_name(text: str) -> str:
    """Return the name that a browser sends as `Host`, without a port.

    text: `name`, `name:8443`, `https://name:8443/`, `::1` or `[::1]`. Raises ValueError, with the
    reason, for other texts.
    """
    refusal = f"{text!r:.100} is not a host name such as queue.example.org"
    text = text.strip()
    if text.count(":") > 1 and "[" not in text and "/" not in text:
        text = f"[{text}]"
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        parts.port  # noqa: B018  raises if it is not a number up to 65535
    except ValueError:
        raise ValueError(refusal) from None
    if parts.scheme not in ("", "http", "https") or parts.path not in ("", "/") or parts.query:
        raise ValueError(refusal)
    name = re.sub(r":[0-9]*$", "", parts.netloc).lower()
    if parts.fragment or not _HOST.fullmatch(name):
        raise ValueError(refusal)
    return name

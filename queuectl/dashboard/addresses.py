"""What a person types about addresses: a proxy's prefix and further host names, normalised."""

import re
from urllib.parse import urlsplit

_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\]")


def prefix(text: str) -> str:
    """`queue`, `/queue/` and `/queue` as `/queue`; `/` and nothing as no prefix.

    Raises ValueError, with the reason, for what no path of an address can be.
    """
    segments = [part for part in text.strip().split("/") if part]
    for part in segments:
        if part in (".", "..") or not _SEGMENT.fullmatch(part):
            raise ValueError(f"{text!r:.100} is not a path such as /queue")
    return "".join(f"/{part}" for part in segments)


def host_name(text: str) -> str:
    """The name that a browser sends as `Host`, without a port: of `name`, `name:8443`,
    `https://name:8443/`, `::1` or `[::1]`.

    Raises ValueError, with the reason, for what names no host.
    """
    refusal = f"{text!r:.100} is not a host name such as queue.example.org"
    text = text.strip()
    if text.count(":") > 1 and "[" not in text and "/" not in text:
        text = f"[{text}]"
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        parts.port  # noqa: B018  raises where it is no number up to 65535
    except ValueError:
        raise ValueError(refusal) from None
    if parts.scheme not in ("", "http", "https") or parts.path not in ("", "/") or parts.query:
        raise ValueError(refusal)
    name = re.sub(r":[0-9]*$", "", parts.netloc).lower()
    if parts.fragment or not _HOST.fullmatch(name):
        raise ValueError(refusal)
    return name

"""The names of streams: a job's stream is its id; all others are `$KIND` or `$KIND:NAME`."""

from typing import Literal, get_args

StreamKind = Literal["job", "worker", "config", "context", "log"]
"""All kinds of stream; `projections.kinds` describes each of them."""

CONFIG = "$config"
CONTEXT = "$context"
LOG = "$log"

_BY_PREFIX: dict[str, StreamKind] = {
    f"${kind}": kind for kind in get_args(StreamKind) if kind != "job"
}


def is_job(stream: str) -> bool:
    """Return whether this is the name of a job's stream, which is the id of the job."""
    return stream[:1] != "$"


def kind_of(stream: str) -> StreamKind:
    """Return the kind of a stream by its name. It is called for each event, so it must be fast."""
    if stream[:1] != "$":
        return "job"
    kind = _BY_PREFIX.get(stream.partition(":")[0])
    assert kind is not None, f"no kind of stream is named {stream}"
    return kind


def named(kind: StreamKind, name: str) -> str:
    """Return the name of the stream of this kind and name, such as `$worker:3f2a`."""
    return f"${kind}:{name}"


def name_in(stream: str) -> str:
    """Return the part of a stream's name after the kind: `3f2a` of `$worker:3f2a`."""
    return stream.partition(":")[2]

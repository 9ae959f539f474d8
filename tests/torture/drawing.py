"""The fuzzer's inputs: random text, JSON and bytes, first plausible and then damaged."""

import json
from random import Random
from typing import Any

from msgspec import inspect

from eventstore import codec
from eventstore.events.fact import Fact
from eventstore.events.recorded import EVENT_TYPES
from tests.hostile import texts

HOSTILE = texts()
EDGES = (0, 1, -1, 2, 7, 255, 256, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30)
FLOATS = ("0.5", "1e308", "1e999", "-0.0", "1e-400", "NaN", "Infinity", "1E+2", "0x10", "1_0")
INVALID = (b"", b"\0", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf")
TOKENS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b":",
    b"null",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
)
SINGLE = "aZ09 _-.=:@%*?~<>&'\"\\/{}[]()\n\t\r\x00\x1b\x7f\x9b\u202e\u2028é日𝄞"


def text(draw: Random) -> str:
    """Return a text without lone surrogates: short, hostile, long or of any characters."""
    kind = draw.random()
    if kind < 0.3:
        return draw.choice(HOSTILE)
    if kind < 0.7:
        return "".join(draw.choices(SINGLE, k=draw.randrange(12)))
    if kind < 0.98:
        return "".join(_character(draw) for _ in range(draw.randrange(40)))
    return draw.choice(SINGLE) * draw.choice((1_000, 70_000, 140_000))


def _character(draw: Random) -> str:
    code = draw.choice((draw.randrange(0x100), draw.randrange(0x3000), draw.randrange(0x110000)))
    return "?" if 0xD800 <= code < 0xE000 else chr(code)


def any_text(draw: Random) -> str:
    """Return such a text, sometimes with lone surrogates."""
    drawn = text(draw)
    return drawn + chr(draw.randrange(0xD800, 0xE000)) if draw.random() < 0.2 else drawn


def value(draw: Random, depth: int = 3) -> Any:
    """Return any JSON value."""
    kind = draw.randrange(9 if depth else 6)
    match kind:
        case 0 | 1:
            return text(draw)[:2_000]
        case 2:
            return draw.choice(EDGES)
        case 3:
            return draw.choice((True, False, None))
        case 4:
            return draw.choice((0.5, -1.5, 1e300, 1e-300, 86400.0))
        case 5:
            return draw.choice(("5m", "1h30m", "none", "14:05", "in 2h", "10M", "K=V", "-1", ""))
        case 6:
            return [value(draw, depth - 1) for _ in range(draw.randrange(4))]
        case _:
            keys = (text(draw)[:50] for _ in range(draw.randrange(4)))
            return {key: value(draw, depth - 1) for key in keys}


def mutated(draw: Random, data: bytes) -> bytes:
    """Return the bytes with some of them changed, removed, repeated, replaced or nested."""
    damaged = bytearray(data)
    for _ in range(draw.randrange(1, 5)):
        at = draw.randrange(len(damaged) + 1)
        end = min(len(damaged), at + draw.randrange(1, 9))
        match draw.randrange(7):
            case 0 if at < len(damaged):
                damaged[at] ^= 1 << draw.randrange(8)
            case 1:
                del damaged[at:end]
            case 2:
                damaged[at:at] = draw.choice(TOKENS)
            case 3:
                damaged[at:at] = damaged[at:end] * draw.choice((1, 2, 50))
            case 4:
                damaged[at:end] = draw.choice(INVALID)
            case 5:
                damaged[at:end] = str(draw.choice((*EDGES, *FLOATS))).encode()
            case _ if draw.random() < 0.02:
                depth = draw.choice((100, 3_000, 100_000))
                damaged[at:at] = b"[" * depth + b"]" * draw.choice((0, depth))
    return bytes(damaged)


def event(draw: Random) -> tuple[str, str]:
    """Return the type and data of an event, as stored in the log."""
    name = draw.choice(sorted(EVENT_TYPES))
    return name, codec.encode(_fact(draw, EVENT_TYPES[name]))


def _fact(draw: Random, kind: type[Fact]) -> Fact:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    chosen = [field for field in described.fields if field.required or draw.random() < 0.5]
    return kind(**{field.name: _field(draw, field.type) for field in chosen})


def _field(draw: Random, kind: inspect.Type) -> Any:
    match kind:
        case inspect.IntType():
            low = -(2**63) if kind.ge is None else kind.ge
            high = 2**63 - 1 if kind.le is None else kind.le
            return draw.choice((low, high, draw.randint(low, high)))
        case inspect.FloatType():
            return draw.choice((0.0, 1.0, 0.1, 1e300, -2.5, draw.random()))
        case inspect.StrType():
            return text(draw)[:3_000]
        case inspect.BoolType():
            return draw.random() < 0.5
        case inspect.NoneType():
            return None
        case inspect.LiteralType():
            return draw.choice(kind.values)
        case inspect.UnionType():
            return _field(draw, draw.choice(kind.types))
        case inspect.VarTupleType():
            return tuple(_field(draw, kind.item_type) for _ in range(draw.randrange(4)))
        case inspect.DictType():
            size = range(draw.randrange(3))
            return {_field(draw, kind.key_type): _field(draw, kind.value_type) for _ in size}
    raise AssertionError(f"no way to draw a {kind}")


def jobs(draw: Random, keys: tuple[str, ...]) -> bytes:
    """Return a JSON text of jobs: an object, an array or lines; plausible, or damaged."""
    form = draw.randrange(3)
    drawn = [_job(draw, keys) for _ in range(draw.choice((1, 1, 2, 5)))]
    escaped = draw.random() < 0.5
    if form == 0:
        data = json.dumps(drawn[0], ensure_ascii=escaped)
    elif form == 1:
        data = json.dumps(drawn, ensure_ascii=escaped, indent=draw.choice((None, 1)))
    else:
        data = "\n".join(json.dumps(job, ensure_ascii=escaped) for job in drawn)
    whole = data.encode()
    return mutated(draw, whole) if draw.random() < 0.6 else whole


def _job(draw: Random, keys: tuple[str, ...]) -> dict[str, Any]:
    job: dict[str, Any] = {"command": text(draw)[:3_000] or "true"}
    for key in draw.sample(keys, draw.randrange(4)):
        job[key] = draw.choice((value(draw), draw.randrange(5), "x", {"k": "v"}, ["a", "b"]))
    if draw.random() < 0.1:
        job[text(draw)[:40]] = value(draw)
    return job

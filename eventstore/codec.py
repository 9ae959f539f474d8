"""An event to its JSON and back. The log keeps the JSON as written: verifying never re-encodes."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from .errors import ChainBroken
from .events.fact import Fact, kebab
from .events.recorded import EVENT_TYPES, Event

_encoder = msgspec.json.Encoder()
_names: dict[type[Fact], str] = {kind: name for name, kind in EVENT_TYPES.items()}

Upcaster = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]

UPCASTERS: dict[str, Upcaster] = {}
"""Type name of an old shape -> a function from its data to today's type name and data."""


@cache
def _decoder(type_name: str) -> msgspec.json.Decoder[Fact]:
    """Made at the first event of a type: most commands read few of them, or none."""
    return msgspec.json.Decoder(EVENT_TYPES[type_name])


def type_of(event: Fact) -> str:
    """The log's word for what happened."""
    return _names.get(type(event)) or kebab(type(event).__name__)


def encode(event: Fact) -> str:
    """The event's data as JSON, fields in the order of the class, defaults left out.

    Raises UnicodeEncodeError for text with lone surrogates: callers refuse such text first.
    """
    return _encoder.encode(event).decode()


def decode(position: int, type_name: str, data: str) -> Event:
    """The event that `data` tells of.

    Raises ChainBroken where the type or the data is none of ours: a reader stops, it never guesses.
    """
    try:
        if upcast := UPCASTERS.get(type_name):
            type_name, fields = upcast(msgspec.json.decode(data))
            return msgspec.convert(fields, EVENT_TYPES[type_name])  # type: ignore[return-value]
        return _decoder(type_name).decode(data)  # type: ignore[return-value]
    except KeyError:
        raise ChainBroken(position, f"unknown event type {type_name!r}") from None
    except (msgspec.DecodeError, UnicodeError, TypeError) as error:
        raise ChainBroken(position, f"unreadable {type_name} data ({error})") from None

"""An event to its JSON and back. The log keeps the JSON as written: verifying never re-encodes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from .errors import ChainBroken
from .events.fact import Fact, kebab
from .events.recorded import EVENT_TYPES, Event, Recorded

_encoder = msgspec.json.Encoder()
_names: dict[type[Fact], str] = {kind: name for name, kind in EVENT_TYPES.items()}

Upcaster = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]

UPCASTERS: dict[str, Upcaster] = {}
"""Type name of an old shape -> a function from its data to today's type name and data."""


class _Readers(dict[str, Callable[[str], Event]]):
    """By type name, what reads its data; made at the first event of a type."""

    def __missing__(self, type_name: str) -> Callable[[str], Event]:
        if upcast := UPCASTERS.get(type_name):
            return partial(_lifted, upcast)
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(EVENT_TYPES[type_name])
        self[type_name] = decoder.decode
        return decoder.decode


def _lifted(upcast: Upcaster, data: str) -> Event:
    type_name, fields = upcast(msgspec.json.decode(data))
    return msgspec.convert(fields, EVENT_TYPES[type_name])  # type: ignore[return-value]


_readers = _Readers()


def type_of(event: Fact) -> str:
    """The log's word for what happened."""
    return _names.get(type(event)) or kebab(type(event).__name__)


def encode(event: Fact) -> str:
    """The event's data as JSON, fields in the order of the class, defaults left out.

    Raises UnicodeEncodeError for text with lone surrogates: callers refuse such text first.
    """
    return _encoder.encode(event).decode()


def data_of(recorded: Recorded) -> str:
    """The event's data as `encode` has it today: as stored, where no upcaster lifted it."""
    return encode(recorded.event) if recorded.type in UPCASTERS else recorded.data


def decode(position: int, type_name: str, data: str) -> Event:
    """The event that `data` tells of.

    Raises ChainBroken where the type or the data is none of ours: a reader stops, it never guesses.
    """
    try:
        return _readers[type_name](data)
    except KeyError:
        raise ChainBroken(position, f"unknown event type {type_name!r}") from None
    except (msgspec.DecodeError, UnicodeError, TypeError) as error:
        raise ChainBroken(position, f"unreadable {type_name} data ({error})") from None

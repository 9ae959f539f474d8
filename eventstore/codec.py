"""Encoding events as JSON, and decoding them.

The hash of a record is computed from the stored JSON text, so that decoding cannot change it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from .chain import RawRecord
from .errors import ChainBroken
from .events.fact import Fact, kebab
from .events.recorded import EVENT_TYPES, Event, Recorded

_encoder = msgspec.json.Encoder()
_names: dict[type[Fact], str] = {kind: name for name, kind in EVENT_TYPES.items()}

Upcaster = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]

UPCASTERS: dict[str, Upcaster] = {}
"""By type name of an old form of an event: the function that returns its current name and data."""


class _Decoders(dict[str, Callable[[str], Event]]):
    """The decoder of each type name, created when the first event of that type is decoded."""

    def __missing__(self, type_name: str) -> Callable[[str], Event]:
        if upcast := UPCASTERS.get(type_name):
            return partial(_upcast, upcast)
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(EVENT_TYPES[type_name])
        self[type_name] = decoder.decode
        return decoder.decode


def _upcast(upcaster: Upcaster, data: str) -> Event:
    type_name, fields = upcaster(msgspec.json.decode(data))
    return msgspec.convert(fields, EVENT_TYPES[type_name])  # type: ignore[return-value]


_decoders = _Decoders()


def type_of(event: Fact) -> str:
    """Return the type name of the event in the log, such as `scheduled-retry`."""
    return _names.get(type(event)) or kebab(type(event).__name__)


def encode(event: Fact) -> str:
    """Return the event's data as JSON: fields in the order of the class, without defaults.

    Raises UnicodeEncodeError for text with lone surrogates: callers must refuse such text earlier.
    """
    return _encoder.encode(event).decode()


def data_of(recorded: Recorded) -> str:
    """Return the event's data as JSON in its current form.

    This is the stored data, or a new encoding if the stored event has an old form.
    """
    return encode(recorded.event) if recorded.type in UPCASTERS else recorded.data


def decode(position: int, type_name: str, data: str) -> Event:
    """Return the event that `data` encodes.

    Raises ChainBroken if the type is unknown or the data is invalid: a reader must never guess.
    """
    try:
        return _decoders[type_name](data)
    except KeyError:
        raise ChainBroken(position, f"unknown event type {type_name!r}") from None
    except (msgspec.DecodeError, UnicodeError, TypeError) as error:
        raise ChainBroken(position, f"unreadable {type_name} data ({error})") from None


def recorded_from(row: RawRecord | tuple[Any, ...]) -> Recorded:
    """Return the record with its event decoded. Raises ChainBroken if that is not possible."""
    return Recorded(*row, decode(row[0], row[3], row[8]))  # type: ignore[call-arg]

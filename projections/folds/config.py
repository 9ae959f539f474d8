"""The state of the configuration: the values that were set, by key."""

from typing import assert_never

import msgspec

from eventstore.events.config import ConfigChanged, ConfigEvent
from eventstore.events.recorded import Recorded

SettingValue = int | float | str
"""The value of a setting in its stored unit: microseconds, bytes or a plain number."""


class Config(msgspec.Struct, frozen=True):
    """The settings that differ from their defaults, in stored units."""

    version: int
    values: dict[str, SettingValue]


def evolve(config: Config | None, recorded: Recorded) -> Config:
    """Return the configuration after `recorded`."""
    event: ConfigEvent = recorded.event  # type: ignore[assignment]
    match event:
        case ConfigChanged():
            return _changed(config, event, recorded.version)
        case _:
            assert_never(event)


def _changed(config: Config | None, event: ConfigChanged, version: int) -> Config:
    values = dict(config.values) if config else {}
    if event.value is None:
        values.pop(event.key, None)
    else:
        values[event.key] = event.value
    return Config(version, values)

"""The state of the configuration: the values that were set, by key."""

import msgspec

from eventstore.events.config import ConfigChanged
from eventstore.events.recorded import Recorded

STREAM = "$config"

SettingValue = int | float | str
"""The value of a setting in its stored unit: microseconds, bytes or a plain number."""


class Config(msgspec.Struct, frozen=True):
    """The settings that differ from their defaults, in stored units."""

    version: int
    values: dict[str, SettingValue]


def evolve(config: Config | None, recorded: Recorded) -> Config:
    """Return the configuration after `recorded`."""
    event = recorded.event
    assert isinstance(event, ConfigChanged), f"{recorded.type} in {STREAM}"
    values = dict(config.values) if config else {}
    if event.value is None:
        values.pop(event.key, None)
    else:
        values[event.key] = event.value
    return Config(recorded.version, values)

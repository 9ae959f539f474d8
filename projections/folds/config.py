"""What the configuration has become: the values set, by key."""

import msgspec

from eventstore.events.config import ConfigChanged
from eventstore.events.recorded import Recorded

STREAM = "$config"

SettingValue = int | float | str


class Config(msgspec.Struct, frozen=True):
    """The settings that differ from their defaults, in stored units."""

    version: int
    values: dict[str, SettingValue]


def evolve(config: Config | None, recorded: Recorded) -> Config:
    """The configuration after `recorded`."""
    event = recorded.event
    assert isinstance(event, ConfigChanged), f"{recorded.type} in {STREAM}"
    values = dict(config.values) if config else {}
    if event.value is None:
        values.pop(event.key, None)
    else:
        values[event.key] = event.value
    return Config(recorded.version, values)

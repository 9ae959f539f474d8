"""The rules of the configuration: values are checked where they are typed, in `settings`."""

from eventstore.events.config import ConfigChanged
from projections.folds.config import Config

from ..requests import SetConfig


def decide(config: Config | None, asked: SetConfig) -> tuple[ConfigChanged, ...]:
    """The change, or nothing where the value is in force already."""
    before = config.values.get(asked.key) if config else None
    if before == asked.value:
        return ()
    return (ConfigChanged(key=asked.key, value=asked.value, before=before, reason=asked.reason),)

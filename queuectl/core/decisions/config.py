"""The rules of the configuration. `core.settings` has already checked the values."""

from eventstore.events.config import ConfigChanged
from projections.folds.config import Config

from ..requests import SetConfig


def decide(config: Config | None, request: SetConfig) -> tuple[ConfigChanged, ...]:
    """Return the change, or no event if the setting already has this value."""
    before = config.values.get(request.key) if config else None
    if before == request.value:
        return ()
    return (
        ConfigChanged(key=request.key, value=request.value, before=before, reason=request.reason),
    )

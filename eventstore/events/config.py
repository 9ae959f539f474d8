"""All events of the configuration."""

from .fact import Fact


class ConfigChanged(Fact, frozen=True, kw_only=True):
    """A setting has a new value; `null` means that it was reset to its default."""

    key: str
    value: int | float | str | None
    """In the setting's stored unit: microseconds, bytes or a plain number."""
    before: int | float | str | None = None
    reason: str | None = None


ConfigEvent = ConfigChanged

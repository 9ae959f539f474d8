"""The settings that differ from their defaults."""

from collections.abc import Iterator, Sequence

import msgspec

from eventstore.events.config import ConfigChanged
from eventstore.store import Query, Reader
from eventstore.tables import Table, Write

from ..folds.config import Config, SettingValue
from ..read_model import Change, ReadModel, Tables

# If a key is reset to its default, its row is kept without a value, because the highest version of
# all rows is the version of the stream. Values are JSON: numbers and texts.
TABLE = Table(
    "settings",
    {
        "key": "text",
        "value": "text or null",
        "version": "integer",
        "changed_at": "integer",
        "changed_by": "text",
    },
    key=("key",),
)

PUT = TABLE.put()

LOAD = "SELECT key, value, version FROM {settings}"

IN_FORCE = Query(LOAD.format(settings="settings"))

# Reads one row per key that has ever been set.
CHANGES = "SELECT key, changed_at, changed_by FROM settings ORDER BY key"


class LastChange(msgspec.Struct, frozen=True):
    """When (UTC, microseconds since 1970) and by whom a setting was last changed."""

    at_us: int
    actor: str


def derive(changes: Sequence[Change[Config]]) -> Iterator[Write]:
    """Write one row per changed key."""
    yield Write(
        PUT,
        [
            (
                record.event.key,
                _json(record.event.value),
                record.version,
                record.recorded_at_us,
                record.actor,
            )
            for _, _, recorded in changes
            for record in recorded
            if isinstance(record.event, ConfigChanged)
        ],
    )


SETTINGS = ReadModel(name="settings", version=2, kind="config", derive=derive, table=TABLE)


def _json(value: SettingValue | None) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def load(tx: Reader, _: str, tables: Tables) -> Config | None:
    """Return the configuration; None before the first change."""
    rows = tx.query(LOAD.format_map(tables))
    if not rows:
        return None
    values: dict[str, SettingValue] = {
        key: msgspec.json.decode(value) for key, value, _ in rows if value is not None
    }
    return Config(max(version for _, _, version in rows), values)


def in_force(tx: Reader) -> dict[str, SettingValue]:
    """Return the values that differ from their defaults, in stored units, by key."""
    config = load(tx, "", {"settings": "settings"})
    return config.values if config else {}


def last_changes(tx: Reader) -> dict[str, LastChange]:
    """Return the last change of each key that has ever been set."""
    return {key: LastChange(at_us, actor) for key, at_us, actor in tx.query(CHANGES)}

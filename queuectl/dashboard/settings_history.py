"""The settings in force, who changed them last, and every change."""

from typing import NamedTuple

from eventstore.events.recorded import Recorded
from eventstore.sqlite.reader import SqliteReader
from projections.folds.config import SettingValue
from projections.read_models import settings as read_model
from projections.read_models.settings import LastChange
from queuectl.core.settings import SETTINGS, Setting

PAGE = 100
"""Changes on one page."""
STREAM = "$config"


class InForce(NamedTuple):
    """A setting with its value, in the stored unit."""

    setting: Setting
    value: SettingValue
    is_default: bool
    changed: LastChange | None
    """Null if it was never set."""

    @property
    def text(self) -> str:
        """The value as a person would type it."""
        return self.setting.show(self.value)


class SettingsPage(NamedTuple):
    """The settings, and a page of their changes, newest first."""

    in_force: list[InForce]
    changes: list[Recorded]
    next: int | None


def settings_page(tx: SqliteReader, before: int | None) -> SettingsPage:
    """The settings, and their changes from below the position `before` on."""
    values = read_model.in_force(tx)
    changed = read_model.last_changes(tx)
    is_empty = tx.head().position == 0
    changes = [] if is_empty else tx.newest(STREAM, PAGE + 1, before)
    more = len(changes) > PAGE
    return SettingsPage(
        in_force=[
            InForce(setting, values.get(key, setting.default), key not in values, changed.get(key))
            for key, setting in SETTINGS.items()
        ],
        changes=changes[:PAGE],
        next=changes[PAGE - 1].position if more else None,
    )


def shown(key: str, value: SettingValue | None) -> str:
    """A recorded value as a person would type it; no value is the default."""
    setting = SETTINGS.get(key)
    if setting is None:
        return "default" if value is None else str(value)
    if value is None:
        return f"default ({setting.show(setting.default)})"
    return setting.show(value)

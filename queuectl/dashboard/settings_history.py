"""The settings in force, who changed each of them last, and all changes."""

from typing import NamedTuple

from eventstore.events.recorded import Recorded
from eventstore.store import Reader
from projections.folds.config import SettingValue
from projections.read_models import settings as read_model
from projections.read_models.settings import LastChange
from projections.streams import CONFIG
from queuectl.core.settings import SETTINGS, Setting

CHANGES_SHOWN = 100
"""Changes on one page."""


class EffectiveSetting(NamedTuple):
    """A setting and its value in force, in the stored unit."""

    setting: Setting
    value: SettingValue
    is_default: bool
    changed: LastChange | None
    """None if the setting was never changed."""

    @property
    def text(self) -> str:
        """The value as a person would type it."""
        return self.setting.show(self.value)


class SettingsPage(NamedTuple):
    """The settings, and a page of their changes, newest first."""

    in_force: list[EffectiveSetting]
    changes: list[Recorded]
    next: int | None
    """The `before` of the next page of changes; None if this is the last one."""


def settings_page(tx: Reader, before: int | None) -> SettingsPage:
    """Return the settings, and a page of their changes before the position `before`."""
    values = read_model.in_force(tx)
    changed = read_model.last_changes(tx)
    is_empty = tx.head().position == 0
    changes = [] if is_empty else tx.newest(CONFIG, CHANGES_SHOWN + 1, before)
    has_more = len(changes) > CHANGES_SHOWN
    return SettingsPage(
        in_force=[
            EffectiveSetting(
                setting, values.get(key, setting.default), key not in values, changed.get(key)
            )
            for key, setting in SETTINGS.items()
        ],
        changes=changes[:CHANGES_SHOWN],
        next=changes[CHANGES_SHOWN - 1].position if has_more else None,
    )


def setting_text(key: str, value: SettingValue | None) -> str:
    """Return a recorded value as a person would type it; None is shown as the default."""
    setting = SETTINGS.get(key)
    if setting is None:
        return "default" if value is None else str(value)
    if value is None:
        return f"default ({setting.show(setting.default)})"
    return setting.show(value)

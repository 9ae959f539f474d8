"""The settings: their keys, defaults, bounds and help.

The log keeps values in stored units: microseconds, bytes or a plain number.
"""

import re
from collections.abc import Callable, Mapping
from math import isinf
from typing import Literal, Self

import msgspec

from projections.folds.config import SettingValue

from ..errors import BadInput, UnknownWord
from ..escape import for_errors
from ..text.durations import LONGEST_US, SECOND_US, duration_named, duration_us, exact_duration
from ..text.sizes import size_bytes, size_text
from .requests import Policy

ValueKind = Literal["count", "number", "duration", "size"]
Number = int | float

_READ: dict[ValueKind, Callable[[str], Number]] = {
    "count": int,
    "number": float,
    "duration": duration_us,
    "size": size_bytes,
}

_NUMBERS: dict[ValueKind, tuple[str, str]] = {
    "count": (r"[+-]?[0-9]{1,18}", "a whole number"),
    "number": (r"[+-]?([0-9]{1,18}\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,3})?", "a number"),
}


_UNITS: dict[ValueKind, str] = {"duration": "_us", "size": "_bytes"}


class Setting(msgspec.Struct, frozen=True):
    """A setting. Default and bounds are in the stored unit."""

    key: str
    kind: ValueKind
    default: Number
    highest: Number
    help: str
    off: str | None = None
    """The word for 0 if 0 means "no limit"; None if 0 is an ordinary value."""
    lowest: Number = 0
    """The lowest value, except 0 if `off` is a word for it."""
    of: Literal["jobs", "workers"] = "jobs"
    """Whether new jobs record the value in force, or workers at their start."""

    @property
    def field(self) -> str:
        """The name of its field in NewJob and in the event `enqueued`."""
        return self.key.replace("-", "_") + _UNITS.get(self.kind, "")

    def named(self, key: str) -> Self:
        """Return the same setting with another name, for error messages."""
        return msgspec.structs.replace(self, key=key)

    def parse(self, text: str) -> Number:
        """Return the stored value of a text that a person has typed. Raises BadInput."""
        if text == self.off:
            return 0
        if self.kind in ("count", "number"):
            text = _digits(self.key, text, self.kind)
        return self._bounded(_READ[self.kind](text))

    def accept(self, value: object) -> Number:
        """Return the stored value of a JSON value: a number (seconds, bytes), or text as typed.

        Raises BadInput.
        """
        if isinstance(value, str) and self.kind in ("duration", "size"):
            return self.parse(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInput(f"{self.key} must be a number, not {for_errors(value)}")
        if isinstance(value, float) and self.kind in ("count", "size"):
            if value.is_integer():  # JSON has only one type of number: 2.0 is 2
                return self._bounded(int(value))
            if isinf(value):
                return self._bounded(value)
            raise BadInput(f"{self.key} must be a whole number, not {value!r:.100}")
        if self.kind == "number":
            value = float(value)
        if self.kind == "duration":
            return self._bounded(duration_named(self.key, value))
        return self._bounded(value)

    def in_force(self, value: SettingValue | None) -> Number | None:
        """Return the value for a job that does not override this setting; None means "no limit".

        value: the value that was set; None for the default.
        """
        number = float(self.default if value is None else value)
        if self.off and number == 0:
            return None
        return number if self.kind == "number" else int(number)

    def show(self, value: SettingValue) -> str:
        """Return a stored value as text in the form in which a user types it."""
        if self.off and value == 0:
            return self.off
        if self.kind == "duration":
            return exact_duration(int(value))
        return size_text(int(value)) if self.kind == "size" else f"{value:.15g}"

    def _shown(self, value: Number) -> str:
        return f"{value:,}" if self.kind == "count" else self.show(value)

    def _bounded(self, value: Number) -> Number:
        if self.lowest <= value <= self.highest or (self.off and value == 0):
            return value
        bounds = f"between {self._shown_lowest} and {self._shown(self.highest)}"
        other = f", or {self.off}" if self.off and self.lowest else ""
        raise BadInput(f"{self.key} must be {bounds}{other}")

    @property
    def _shown_lowest(self) -> str:
        return self._shown(self.lowest) if self.lowest else "0"


_ALL = (
    Setting("max-retries", "count", 3, 1_000_000, "retries after the first attempt"),
    Setting(
        "backoff-base", "number", 2, 1000, "exponential backoff: retry k waits BASE**k seconds"
    ),
    Setting(
        "backoff-max", "duration", 3600 * SECOND_US, LONGEST_US, "maximum delay between retries"
    ),
    Setting("jitter", "number", 0, 1, "fraction of each delay to randomize, 0 to 1"),
    Setting("timeout", "duration", 0, LONGEST_US, "stop an attempt after this long", off="none"),
    Setting("grace", "duration", 10 * SECOND_US, LONGEST_US, "time between SIGTERM and SIGKILL"),
    Setting("output-limit", "size", 10 << 20, 1 << 40, "maximum output to keep per attempt"),
    Setting(
        "lease",
        "duration",
        120 * SECOND_US,
        86_400 * SECOND_US,
        "longest silence of a worker on a server; then others run its jobs (not in a file)",
        off="never",
        lowest=10 * SECOND_US,
        of="workers",
    ),
)
SETTINGS = {setting.key: setting for setting in _ALL}

_NAMES_ELSEWHERE = {
    **dict.fromkeys(("retries", "max-attempts", "attempts", "retry"), "max-retries"),
    **dict.fromkeys(("backoff", "base", "retry-delay", "backoff-factor"), "backoff-base"),
    **dict.fromkeys(("max-backoff", "backoff-cap", "max-delay"), "backoff-max"),
    **dict.fromkeys(("max-runtime", "job-timeout", "ttr"), "timeout"),
    **dict.fromkeys(("kill-timeout", "grace-period", "stop-timeout"), "grace"),
    **dict.fromkeys(("heartbeat", "heartbeat-timeout", "worker-timeout", "lease-time"), "lease"),
    **dict.fromkeys(("max-output", "log-limit"), "output-limit"),
}
"""The names that other programs use, and the keys of these settings."""

_OLD_SPELLINGS = {"base-backoff": "backoff-base"}


def _digits(key: str, text: str, kind: ValueKind) -> str:
    """Return the text. Raises BadInput if it is not a number in ASCII digits."""
    pattern, what = _NUMBERS[kind]
    if not re.fullmatch(pattern, text.strip(), re.ASCII):
        raise BadInput(f"{key} must be {what}, not {text!r:.100}")
    return text


def setting(key: str) -> Setting:
    """Return the setting with this name. Underscores and old spellings are accepted.

    Raises UnknownWord.
    """
    name = key.lower().replace("_", "-")
    match = SETTINGS.get(_OLD_SPELLINGS.get(name, name))
    if match is None:
        todo = "queuectl config list shows them"
        raise UnknownWord("setting", key, SETTINGS, todo, _NAMES_ELSEWHERE)
    return match


def policy(values: Mapping[str, SettingValue]) -> Policy:
    """Return the policy for jobs without options. values: the values that were set, by key."""
    return Policy(
        tuple(
            (setting.field, setting.in_force(values.get(key)))
            for key, setting in SETTINGS.items()
            if setting.of == "jobs"
        )
    )


def lease_us(values: Mapping[str, SettingValue]) -> int | None:
    """Return the lease of a new worker on a server; None for none. values: those that were set."""
    value = SETTINGS["lease"].in_force(values.get("lease"))
    return None if value is None else int(value)

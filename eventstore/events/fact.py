"""The base class of all events: frozen, keyword-only, and named in the log after the class."""

import re

import msgspec


class Fact(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """A fact. Names of fields end in their unit: `_us`, `_at_us` (UTC since 1970), `_bytes`.

    A field equal to its default is left out of the log, so a default, once released, never changes.
    The type is stored in the log's `type` column, not in the data.
    """


def kebab(name: str) -> str:
    """Return the name of a class in the log: `ScheduledRetry` is `scheduled-retry`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()

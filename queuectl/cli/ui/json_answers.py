"""The JSON documents that only the command line prints."""

from ...json_shapes import Document, JobShape, SettingShape, Shape


class Accepted(Document, frozen=True, kw_only=True):
    """`enqueue`: the ids, in order. `head_hash`: hash of the last record; store it elsewhere."""

    ids: list[str]
    existing: list[str]
    """The ids that existed already, with the same request: nothing was enqueued for these."""
    head_hash: str


class Created(Document, frozen=True, kw_only=True):
    """`init`. `created` is false if the queue existed already.

    `roles` are the roles of the queue on a server, with `--roles`.
    """

    place: str
    created: bool
    roles: list[str] = []


class Changed(Document, frozen=True, kw_only=True):
    """`wait`, `cancel`, `retry`, `dlq retry` and `dlq discard`: the jobs as they are now."""

    jobs: list[JobShape]


class Settings(Document, frozen=True, kw_only=True):
    """`config list`; `config get` and `config set` print a single setting."""

    settings: list[SettingShape]


class Verified(Document, frozen=True, kw_only=True):
    """`verify`: `broken_at` is the first position that is wrong."""

    sound: bool
    head_hash: str
    broken_at: int | None
    problems: list[str]


class DifferenceShape(Shape, frozen=True, kw_only=True):
    """A row of a view that differs from the log. `live` or `rebuilt` is null if it has no row."""

    table: str
    key: list[str]
    live: list[str] | None
    rebuilt: list[str] | None


class Replayed(Document, frozen=True, kw_only=True):
    """`replay`: the differences that `--check` found."""

    differences: list[DifferenceShape]


class BackedUp(Document, frozen=True, kw_only=True):
    """`backup`: the backup. Store `position` and `head_hash`, the head of its log, elsewhere."""

    head_hash: str
    path: str
    bytes: int
    outputs: int
    """Attempts whose long output was copied into the folder `<path>.d`."""
    problems: list[str]
    """Outputs that are missing in the queue, or were left out because they were changed."""


class MovedTo(Document, frozen=True, kw_only=True):
    """`migrate`: `position` and `head_hash` are the head that both places have."""

    head_hash: str
    source: str
    target: str
    problems: list[str]
    """Outputs that are missing in the new place, or differ from the log."""


class RestoredFrom(Document, frozen=True, kw_only=True):
    """`restore`: the change, or with `dry_run` the change that it would make."""

    head_hash: str
    path: str
    backup: str
    kept_as: str | None
    """The new name of the queue that was replaced; null if there was none."""
    discarded_events: int
    """Events of the replaced queue that are not in the backup."""
    outputs: int
    """Attempts whose long output was copied."""
    problems: list[str]
    """Outputs that are missing in the backup."""
    dry_run: bool

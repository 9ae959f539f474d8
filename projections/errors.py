"""The errors of the read models."""

from eventstore.errors import Unusable


class StaleReadModels(Unusable):
    """The read models were written by an older version.

    A process that opens the queue for writing rebuilds them; one that only reads cannot.
    """

    def __init__(self) -> None:
        super().__init__(
            "the views were written by an older version; run queuectl replay to rebuild them"
        )


class DamagedRow(Unusable):
    """A row of a read model cannot be decoded."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__(
            f"the view {table} has a damaged row ({key}); run queuectl replay to rebuild the views"
        )


class RebuildOvertaken(Unusable):
    """Another rebuild began while this one was running, as the server had lost this one's lock."""

    def __init__(self) -> None:
        super().__init__("another replay has begun; try again when it has finished")


class NewerReadModels(Unusable):
    """The read models were written by a newer version; this version must not change them."""

    def __init__(self) -> None:
        super().__init__("the views were written by a newer version; upgrade queuectl")

"""What can be wrong with the read models."""

from eventstore.errors import Unusable


class StaleReadModels(Unusable):
    """They were derived by an older version; a writer rebuilds them, a reader cannot."""

    def __init__(self) -> None:
        super().__init__(
            "the views were written by an older version; run queuectl replay to rebuild them"
        )


class DamagedRow(Unusable):
    """A row of a read model that no version of ours has written."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__(
            f"the view {table} has a damaged row ({key}); run queuectl replay to rebuild the views"
        )


class NewerReadModels(Unusable):
    """They were derived by a newer version, which an older one must not write to."""

    def __init__(self) -> None:
        super().__init__("the views were written by a newer version; upgrade queuectl")

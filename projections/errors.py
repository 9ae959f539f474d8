"""What can be wrong with the read models."""

from eventstore.errors import Unusable


class StaleReadModels(Unusable):
    """They were derived by an older version; a writer rebuilds them, a reader cannot."""

    def __init__(self) -> None:
        super().__init__("the read models are of an older version; run queuectl replay")


class DamagedRow(Unusable):
    """A row of a read model that no version of ours has written."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__(f"the row of {key} in {table} is damaged; run queuectl replay")


class NewerReadModels(Unusable):
    """They were derived by a newer version, which an older one must not write to."""

    def __init__(self) -> None:
        super().__init__("the read models are of a newer version; upgrade queuectl to use them")

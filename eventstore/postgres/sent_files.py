"""The files of an attempt whose output is also sent to the server."""

from collections.abc import Callable
from typing import Literal, Protocol

from ..output_files import OutputFiles, head_bytes

Fate = Literal["runs", "ended", "removed"]


class Parcel:
    """The output of one attempt, and how much of it was sent.

    The loop of the worker sets `has_more` and `fate`; all else belongs to the thread that sends.
    """

    def __init__(self, job_id: str, attempt: int, head_bytes: int) -> None:
        self.job_id, self.attempt = job_id, attempt
        self.head_bytes = head_bytes
        """The size of the beginning that is sent in any case."""
        self.fate: Fate = "runs"
        self.has_more = False
        """Whether output was printed that was not sent."""
        self.sent = 0
        """The offset up to which it was sent."""
        self.is_certain = False
        """Whether the server is known to have nothing after `sent`."""
        self.was_tried = False
        """Whether the server may have a piece of it."""


class Sender(Protocol):
    """Sends outputs. No method waits."""

    def printed(self, parcel: Parcel) -> None:
        """Send the output that was written to its files."""

    def done(self, parcel: Parcel, fate: Fate) -> None:
        """Send the rest of the output; or delete what was sent, if it was removed."""


class SentFiles(OutputFiles):
    """Writes the files of an attempt, and lets a sender read them."""

    def __init__(
        self,
        folder: Callable[[], int],
        job_id: str,
        attempt: int,
        limit_bytes: int,
        sender: Sender,
    ) -> None:
        super().__init__(folder, job_id, attempt, limit_bytes)
        self._sender = sender
        self._parcel = Parcel(job_id, attempt, head_bytes(limit_bytes))

    def write(self, offset: int, data: bytes) -> None:
        """Keep `data`, which is at `offset` in the output, as far as the limit allows."""
        super().write(offset, data)
        self._sender.printed(self._parcel)

    def close(self) -> None:
        """Close the descriptors. Nothing may be written afterwards."""
        super().close()
        self._sender.done(self._parcel, "ended")

    def remove(self) -> None:
        """Remove all files and their folder, also on the server."""
        super().remove()
        self._sender.done(self._parcel, "removed")

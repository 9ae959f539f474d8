"""Let programs of this environment run as on another machine, or without a fence (a control)."""

import os
import sys


def _do_nothing(*_: object) -> None:
    """Take the place of a method."""


def _boot_id() -> str:
    return os.environ["QUEUECTL_TESTS_BOOT"]


if any(word.endswith("queuectl") for word in sys.orig_argv):
    from queuectl.worker import fence, heart, liveness

    liveness.boot_id = _boot_id
    if "QUEUECTL_TESTS_UNFENCED" in os.environ:
        fence.Fence.postpone = _do_nothing  # type: ignore[assignment]
        heart.Heart._confirmed = _do_nothing  # type: ignore[assignment]

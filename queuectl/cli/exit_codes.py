"""Which exit code an error has; for both families of errors, so that lower floors know none."""

from eventstore.errors import (
    ChainBroken,
    HeadMissing,
    OutcomeUnknown,
    StoreError,
    StreamConflict,
    Unusable,
)

from ..errors import BadInput, NotFound, QueueError, Refusal, TimedOut

DONE = 0
NO = 1
"""The answer is no: a job that was waited for failed."""
USAGE = 2
NOT_FOUND = 3
REFUSED = 4
"""Refused in this state, or another was first."""
INTEGRITY = 5
DATABASE = 6
"""Missing, foreign, too new, read-only, full, or busy for too long."""
TIMED_OUT = 7
UNKNOWN = 8
"""An I/O error at the commit: it may or may not be in the log."""
ANSWER_LOST = 9
"""The change is recorded, but the answer could not be written: do not repeat the command."""
INTERRUPTED = 130
PIPE_CLOSED = 141
"""As of a program that SIGPIPE ended: nobody read on."""

CODES: dict[type[Exception], int] = {
    BadInput: USAGE,
    NotFound: NOT_FOUND,
    Refusal: REFUSED,
    StreamConflict: REFUSED,
    ChainBroken: INTEGRITY,
    HeadMissing: INTEGRITY,
    Unusable: DATABASE,
    TimedOut: TIMED_OUT,
    OutcomeUnknown: UNKNOWN,
}


def code_of(error: QueueError | StoreError) -> int:
    """The exit code of an error: of the nearest of its kinds that has one."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)

"""The exit code of each error, in one place, so that the layers below know no exit codes."""

from eventstore.errors import (
    ChainBroken,
    HeadMissing,
    OptionAsPath,
    OutcomeUnknown,
    StoreError,
    StreamConflict,
    TransactionOpen,
    Unusable,
)

from .. import exit_codes
from ..errors import BadInput, NotFound, QueueError, Refusal, TimedOut

CODES: dict[type[Exception], int] = {
    BadInput: exit_codes.USAGE,
    NotFound: exit_codes.NOT_FOUND,
    Refusal: exit_codes.REFUSED,
    StreamConflict: exit_codes.REFUSED,
    TransactionOpen: exit_codes.REFUSED,
    ChainBroken: exit_codes.INTEGRITY,
    HeadMissing: exit_codes.INTEGRITY,
    OptionAsPath: exit_codes.USAGE,
    Unusable: exit_codes.DATABASE,
    TimedOut: exit_codes.TIMED_OUT,
    OutcomeUnknown: exit_codes.UNKNOWN,
}


def code_of(error: QueueError | StoreError) -> int:
    """Return the exit code of an error: that of its nearest class in `CODES`."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)

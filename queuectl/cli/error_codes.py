"""The exit code of each error, in one place, so that the layers below know no exit codes.

`queuectl/exit_codes.py` has the meaning of each code.
"""

from eventstore.errors import (
    ChainBroken,
    HeadMissing,
    LogWentBack,
    NotEmpty,
    OptionAsPath,
    OutcomeUnknown,
    StoreError,
    StreamConflict,
    TransactionOpen,
    Unusable,
)

from .. import exit_codes
from ..errors import BadInput, NotFound, QueueError, Refusal, TimedOut, ViewsDiffer

CODES: dict[type[Exception], int] = {
    BadInput: exit_codes.USAGE,
    NotFound: exit_codes.NOT_FOUND,
    Refusal: exit_codes.REFUSED,
    StreamConflict: exit_codes.REFUSED,
    TransactionOpen: exit_codes.REFUSED,
    ChainBroken: exit_codes.INTEGRITY,
    HeadMissing: exit_codes.INTEGRITY,
    LogWentBack: exit_codes.INTEGRITY,
    NotEmpty: exit_codes.REFUSED,
    ViewsDiffer: exit_codes.INTEGRITY,
    OptionAsPath: exit_codes.USAGE,
    Unusable: exit_codes.DATABASE,
    TimedOut: exit_codes.TIMED_OUT,
    OutcomeUnknown: exit_codes.UNKNOWN,
}


def code_of(error: QueueError | StoreError) -> int:
    """Return the exit code of an error: of its own class, else of its nearest base in `CODES`."""
    return next(CODES[class_] for class_ in type(error).__mro__ if class_ in CODES)

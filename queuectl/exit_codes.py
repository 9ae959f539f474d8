"""The exit codes of `queuectl`. `cli/error_codes.py` has the exit code of each error.

`docs/generate.py` describes them for users.
Imports nothing, so that the entry point can load it first.
"""

DONE = 0
NO = 1
"""The answer is no: for example, `wait` ended because a job failed, or `doctor` found a problem."""
USAGE = 2
NOT_FOUND = 3
REFUSED = 4
"""The state does not allow the change, or another writer was first."""
INTEGRITY = 5
DATABASE = 6
"""The queue cannot be used: its file is missing, foreign, too new, read-only, full, or busy for too
long; it has moved; or its server does not answer, or refuses.
"""
TIMED_OUT = 7
UNKNOWN = 8
"""An I/O error at the commit: the change may or may not be in the log."""
ANSWER_LOST = 9
"""The change is recorded, but the answer could not be written: do not repeat the command."""
INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""
PIPE_CLOSED = 141
"""128 + SIGPIPE: the reader of standard output has closed it."""

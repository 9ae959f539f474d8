"""Where the program begins: before all else, Ctrl-C is minded and the words are read."""

import os
import sys
from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal  # type: ignore

USAGE = 2
INTERRUPTED = 130


def program() -> None:
    """What is run as `queuectl`; it does not return.

    All is closed and flushed once `main` returns; to take Python down module by module would cost
    10 ms more, a seventh of an `enqueue`.
    """
    try:
        code = _run()
        if sys.stderr is not None:
            sys.stderr.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    os._exit(code)


def _run() -> int:
    minded = getsignal(SIGINT) is default_int_handler  # and not ignored, as behind a shell's &
    if minded:
        signal(SIGINT, SIG_DFL)  # nothing is open yet: the end without a word is the right one
    try:
        words = [os.fsencode(word).decode() for word in sys.argv[1:]]
    except UnicodeDecodeError as error:
        said = f"error: {error.object!r} is not UTF-8; only UTF-8 can be recorded\n"
        os.write(2, said.encode())
        return USAGE
    from .cli.main import main

    if minded:
        signal(SIGINT, default_int_handler)
    return main(words)

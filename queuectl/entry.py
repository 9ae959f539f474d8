"""Where the program begins: before all else, Ctrl-C is minded and the words are read."""

import os
import sys
from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal  # type: ignore

USAGE = 2
DATABASE = 6
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
    except MemoryError:
        code = _say_limit("out of memory")
    except (OSError, ImportError) as error:
        if isinstance(error, ModuleNotFoundError):
            raise
        code = _say_limit(str(error))
    os._exit(code)


def _say_limit(what: str) -> int:
    """Where not even our own code can be loaded, or no memory is left to say it better."""
    said = f"error: {what}; the limits of this shell (ulimit -a) may be too low\n"
    os.write(2, said.encode(errors="backslashreplace"))
    return DATABASE


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
    _load_with_care()
    from .cli.express import enqueue

    if minded:
        signal(SIGINT, default_int_handler)
    code = enqueue(words)
    if code is None:
        from .cli.main import main

        code = main(words)
    return code


def _load_with_care() -> None:
    """Import what costs too much, or fails too loudly, when it comes in by itself."""
    try:
        import _blake2  # noqa: F401
        import _hashlib  # noqa: F401  # where memory is short hashlib prints tracebacks for these
    except ModuleNotFoundError:
        pass  # this Python has them built in, or does without
    if "typing_extensions" not in sys.modules:
        # msgspec imports it where it is installed, for older Pythons: a tenth of an `enqueue`.
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]
        import msgspec  # noqa: F401

        del sys.modules["typing_extensions"]

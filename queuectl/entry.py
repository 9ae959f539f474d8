"""Where the program begins: before all else, Ctrl-C is minded and the words are read."""

import gc
import os
import sys
from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal  # type: ignore

from . import exit_codes


def program() -> None:
    """What is run as `queuectl`; it does not return.

    All is closed and flushed once `main` returns; to take Python down module by module would cost
    10 ms more, a seventh of an `enqueue`.
    """
    try:
        code = _run()
        _flush_messages()
    except KeyboardInterrupt:
        code = exit_codes.INTERRUPTED
    except MemoryError:
        code = _say_limit("out of memory")
    except (OSError, ImportError) as error:
        if isinstance(error, ModuleNotFoundError):
            raise
        code = _say_limit(str(error))
    os._exit(code)


def _say_limit(what: str) -> int:
    """Where not even our own code can be loaded, or no memory is left to say it better."""
    return _refuse(
        f"{what}; the limits of this shell (ulimit -a) may be too low", exit_codes.DATABASE
    )


def _refuse(why: str, code: int) -> int:
    """Say why nothing was done, if stderr takes it. Returns the exit code."""
    try:
        os.write(2, f"error: {why}\n".encode(errors="backslashreplace"))
    except OSError:
        return code
    return code


def _flush_messages() -> None:
    """A message that could not be written fails here once more, and changes no exit code."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        return


def _run() -> int:
    minded = getsignal(SIGINT) is default_int_handler  # and not ignored, as behind a shell's &
    if minded:
        signal(SIGINT, SIG_DFL)  # nothing is open yet: the end without a word is the right one
    try:
        words = [os.fsencode(word).decode() for word in sys.argv[1:]]
    except UnicodeDecodeError as error:
        return _refuse(
            f"{error.object!r} is not UTF-8; only UTF-8 can be recorded", exit_codes.USAGE
        )
    gc.disable()  # nothing of what is loaded is garbage: to look for some takes a twentieth
    _load_with_care()
    from .cli.express import enqueue

    gc.freeze()
    gc.enable()
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

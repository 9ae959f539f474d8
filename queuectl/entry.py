"""The entry point. It sets how Ctrl-C is handled and decodes the arguments before other imports.

The order of these steps keeps short commands fast. See docs/decisions/0009.
"""

import gc
import os
import sys
from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal  # type: ignore

from . import exit_codes


def program() -> None:
    """Run `queuectl` and exit; does not return.

    All files are closed and flushed when `main` returns, so Python's own shutdown is skipped: it
    would take another 10 ms, a seventh of an `enqueue`.
    """
    try:
        code = _run()
        _flush_messages()
    except KeyboardInterrupt:
        code = exit_codes.INTERRUPTED
    except MemoryError:
        code = _report_limit("out of memory")
    except (OSError, ImportError) as error:
        if isinstance(error, ModuleNotFoundError):
            raise
        code = _report_limit(str(error))
    os._exit(code)


def _report_limit(what: str) -> int:
    """Report that the system refused memory or a file that this program needs. Return the code."""
    return _refuse(
        f"{what}; the limits of this shell (ulimit -a) may be too low", exit_codes.DATABASE
    )


def _refuse(why: str, code: int) -> int:
    """Write to stderr why nothing was done, if that is possible. Return `code`."""
    try:
        os.write(2, f"error: {why}\n".encode(errors="backslashreplace"))
    except OSError:
        return code
    return code


def _flush_messages() -> None:
    """Flush stderr. A message that cannot be written does not change the exit code."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        return


def _run() -> int:
    # A shell starts a command with `&` so that it ignores SIGINT. Do not change that.
    handled = getsignal(SIGINT) is default_int_handler
    if handled:
        signal(SIGINT, SIG_DFL)  # nothing is open yet, so Ctrl-C may end the process at once
    try:
        words = [os.fsencode(word).decode() for word in sys.argv[1:]]
    except UnicodeDecodeError as error:
        return _refuse(
            f"{error.object!r} is not UTF-8; only UTF-8 can be recorded", exit_codes.USAGE
        )
    gc.disable()  # imports create no garbage; searching for it takes 5 % of the time
    _import_expensive_modules()
    from .cli.express import enqueue

    gc.freeze()
    gc.enable()
    if handled:
        signal(SIGINT, default_int_handler)
    code = enqueue(words)
    if code is None:
        from .cli.main import main

        code = main(words)
    return code


def _import_expensive_modules() -> None:
    """Import modules that would take longer, or print tracebacks, if other modules did it."""
    try:
        import _blake2  # noqa: F401
        import _hashlib  # noqa: F401  # without memory, hashlib would print tracebacks for these
    except ModuleNotFoundError:
        pass  # in this Python they are built in, or do not exist
    if "typing_extensions" not in sys.modules:
        # msgspec would import it, which takes a tenth of an `enqueue` and is not needed here.
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]
        import msgspec  # noqa: F401

        del sys.modules["typing_extensions"]

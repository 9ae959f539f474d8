"""Signals as a terminal leaves them to the programs that it starts."""

import signal


def reset_signals() -> None:
    """Undo that this process ignores signals; the programs that it starts would inherit that.

    A shell that runs a program in the background lets it ignore SIGINT, and nohup SIGHUP.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

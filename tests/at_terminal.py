"""The end of a program that a test runs at a terminal of its own."""

from typing import Any

import pexpect


def ended(child: Any) -> int:
    """Wait for the end of a program, and return its exit code, or minus the signal that ended it.

    Its last output is in `child.before`. pexpect alone would send SIGHUP to a program that has not
    ended a tenth of a second after its last output.
    """
    child.expect(pexpect.EOF)
    child.wait()
    child.ptyproc.delayafterclose = 0
    child.close()
    return -child.signalstatus if child.exitstatus is None else int(child.exitstatus)

"""Questions and requests to systemd by `systemctl`, which a machine may not have."""

import shutil
import subprocess

from .unit import Scope

PATIENCE_S = 10.0
"""The longest wait for an answer."""
LATE = 124
"""The exit code of a command without an answer in time."""
PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "MainPID", "StatusText")


class Systemctl:
    """`systemctl` of the user or of the system.

    silence: why it does not answer; None if it does.
    """

    def __init__(self, scope: Scope) -> None:
        self._words = ["systemctl", *(["--user"] if scope == "user" else [])]
        self.silence = self._why_silent()

    def line(self, *words: str) -> str:
        """Return a command line for a person to type."""
        return " ".join([*self._words, *words])

    def reload(self) -> None:
        """Make systemd read the unit files again."""
        self._run("daemon-reload")

    def properties(self, unit: str) -> dict[str, str]:
        """Return what systemd knows of the unit, by the names of PROPERTIES."""
        shown = self._run("show", unit, f"--property={','.join(PROPERTIES)}")
        pairs = [line.partition("=") for line in shown.stdout.splitlines()]
        return {name: value for name, _, value in pairs}

    def _why_silent(self) -> str | None:
        if shutil.which(self._words[0]) is None:
            return "systemctl: not found in PATH"
        answer = self._run("show", "--property=Version")
        if answer.returncode == 0:
            return None
        return answer.stderr.strip().partition("\n")[0] or f"systemctl: exit {answer.returncode}"

    def _run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        line = [*self._words, *words]
        try:
            return subprocess.run(
                line,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            silence = f"no answer within {PATIENCE_S:g} s"
            return subprocess.CompletedProcess(line, LATE, stdout="", stderr=silence)

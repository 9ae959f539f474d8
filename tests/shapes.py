"""Commands that start processes in several ways, and finding the processes in a folder."""

import os
from pathlib import Path

from queuectl.worker.process_sweep import alive

SHAPES = {
    "plain": "sleep 60",
    "background": "sleep 60 & wait",
    "setsid": "setsid sleep 60 & wait",
    "daemon": "(setsid setsid sleep 60 <&- >&- 2>&- &); sleep 60",
    "bare daemon": "(env -i setsid setsid sleep 60 <&- >&- 2>&- &); env -i sleep 60",
    "deaf": "trap '' TERM HUP INT; sleep 60",
    "tree": "for a in 1 2 3 4 5; do (for b in 1 2 3 4 5 6 7 8 9; do sleep 60 & done; wait) & done;"
    " wait",
}
"""Shell commands by name; each runs for a minute in its working directory."""

SLEEPERS = {"daemon": 2, "bare daemon": 2, "tree": 45}
"""Number of `sleep` processes of each command once all are started; 1 for the others."""


def in_folder(folder: Path) -> list[int]:
    """Return the pids of the living processes whose working directory is `folder`."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in sorted(pids) if _cwd(pid) == str(folder) and alive(pid)]


def complete(shape: str, folder: Path) -> list[int] | None:
    """Return the `sleep` processes of a command that runs in `folder`; None until all run."""
    pids = sleepers(folder)
    return pids if len(pids) == SLEEPERS.get(shape, 1) else None


def sleepers(folder: Path) -> list[int]:
    """Return the pids of the `sleep` processes in `folder`."""
    return [pid for pid in in_folder(folder) if _name(pid) == "sleep"]


def _cwd(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""

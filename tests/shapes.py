"""The shapes a job's processes may take, and the processes that work in a folder."""

import os
from pathlib import Path

from queuectl.worker.sweep import alive

SHAPES = {
    "plain": "sleep 60",
    "background": "sleep 60 & wait",
    "setsid": "setsid sleep 60 & wait",
    "daemon": "(setsid setsid sleep 60 <&- >&- 2>&- &); sleep 60",
    "bare daemon": "(env -i setsid setsid sleep 60 <&- >&- 2>&- &); env -i sleep 60",
    "deaf": "trap '' TERM HUP INT; sleep 60",
    "tree": "for a in 1 2 3 4 5; do (for b in 1 2 3 4 5 6 7 8 9; do sleep 60 & done; wait) & done\nwait",
}
"""Shell texts by name; each runs for a minute in its working directory."""

SIZES = {"tree": 51, "daemon": 3, "bare daemon": 3}
"""How many processes a shape has once it is complete, at the least; else one."""


def in_folder(folder: Path) -> list[int]:
    """Pids of the living processes that work in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if os.readlink(entry / "cwd") == str(folder) and alive(int(entry.name)):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def complete(shape: str, folder: Path) -> list[int] | None:
    """The pids of a shape that works in `folder`, once all of its processes are there."""
    pids = in_folder(folder)
    return pids if len(pids) >= SIZES.get(shape, 1) else None

"""Faults in every system call on the files of the real program: it fails, or kills the process.

strace runs the program once to list the calls, and then once for each call and fault. It counts
calls per process, so every new supervisor of a worker gets the same fault.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from signal import SIGKILL
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.ctl import DEADLINE_S, PROGRAM
from tests.torture.proof import Proof, Tally
from tests.torture.syscalls_judged import After, judged
from tests.torture.syscalls_scenes import SCENES, Scene

SHARED_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None

_WRITTEN = ("EIO", "ENOSPC", "EINTR", "EAGAIN")
_NAMED = ("EIO", "ENOSPC")
FAULTS: dict[str, tuple[str, ...]] = {
    "openat": ("EMFILE", "EIO", "ENOSPC", "EINTR"),
    **dict.fromkeys(("pread64", "fstat", "newfstatat"), ("EIO",)),
    "pwrite64": _WRITTEN,
    "write": _WRITTEN,
    "fsync": ("EIO", "ENOSPC", "EINTR"),
    "fdatasync": ("EIO", "ENOSPC", "EINTR"),
    "ftruncate": ("EIO", "ENOSPC", "EINTR"),
    "fallocate": ("EIO", "ENOSPC", "EINTR"),
    "fcntl": ("EAGAIN", "EINTR", "ENOLCK"),
    "flock": ("EIO", "EINTR"),
    **dict.fromkeys(("link", "linkat", "rename", "renameat", "renameat2"), _NAMED),
    **dict.fromkeys(("mkdir", "mkdirat", "mknod", "mknodat"), _NAMED),
    **dict.fromkeys(("unlink", "unlinkat"), ("EIO",)),
}
"""The errors by call. In addition each call is a moment to be killed."""

KILLED = "KILL"


class Case(NamedTuple):
    """The one call with a fault."""

    scene: Scene
    call: str
    number: int
    """The number of the call of this name in its process, from 1."""
    fault: str

    @property
    def injection(self) -> str:
        """The fault as an option of strace."""
        how = "signal=SIGKILL" if self.fault == KILLED else f"error={self.fault}"
        return f"inject={self.call}:{how}:when={self.number}"

    @property
    def options(self) -> tuple[str, ...]:
        """The options of strace. --seccomp-bpf is faster, but in strace 6.1 injects no signals."""
        quick = () if self.fault == KILLED else ("--seccomp-bpf",)
        return (*quick, "-e", self.injection)


def sweep(amount: int, seed: int) -> Tally:
    """Try so many cases, in the order of the scenes; at most all there are."""
    findings: list[str] = []
    done: Counter[str] = Counter()
    with TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        for case in islice(_cases(Path(folder), Random(seed)), amount):
            done[case.scene.name] += 1
            findings += _tried(Path(folder), case)
    return Tally(done.total(), findings, ", ".join(f"{name} {n}" for name, n in done.items()))


def _cases(folder: Path, random: Random) -> Iterator[Case]:
    for scenes in SCENES:
        cases = [
            Case(scene, call, number, fault)
            for scene in scenes
            for call, number in sorted(_calls(folder, scene))
            for fault in (KILLED, *_faults(scene, call))
        ]
        random.shuffle(cases)
        yield from cases


def _faults(scene: Scene, call: str) -> tuple[str, ...]:
    """Return the errors of a call. With several processes an fcntl may unlock: that cannot fail."""
    return () if scene.keeper and call == "fcntl" else FAULTS[call]


def _calls(folder: Path, scene: Scene) -> set[tuple[str, int]]:
    """Return the calls on the queue's folder: name, and number among the calls of that name."""
    with _home(folder, scene) as home:
        _run(home, scene, "-y", "-o", str(folder / "calls"))
    counts: Counter[tuple[str, str]] = Counter()
    calls = set()
    for line in (folder / "calls").read_text(errors="replace").splitlines():
        if called := re.match(r"(\d+) +(\w+)\(", line):
            pid, call = called.groups()
            counts[pid, call] += 1
            # Unlocking cannot fail, and querying a lock changes nothing.
            if str(home) in line and not re.search("F_UNLCK|F_GETLK", line):
                calls.add((call, counts[pid, call]))
    assert calls, f"strace saw no calls of {scene.name}"
    return calls


def _tried(folder: Path, case: Case) -> list[str]:
    """Try one case; return its findings, one line each."""
    with _home(folder, case.scene) as home:
        try:
            done = _run(home, case.scene, "-o", "/dev/null", *case.options)
        except subprocess.TimeoutExpired:
            _end(home)
            return [f"{case.scene.name}, {case.injection}: hangs"]
        killed = case.fault == KILLED
        after = After(home, done.returncode, done.stdout, done.stderr, killed)
        return [
            f"{case.scene.name}, {case.injection}: {finding}"
            for finding in judged(case.scene, after)
        ]


class _home:
    """The folder of one run, as prepared by the scene."""

    def __init__(self, folder: Path, scene: Scene) -> None:
        self._path, self._made, self._scene = folder / "home", folder / scene.name, scene

    def __enter__(self) -> Path:
        if not self._made.exists():
            self._made.mkdir(mode=0o700)
            self._scene.prepare(self._made / "queue.db")
        shutil.copytree(self._made, self._path)
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path)


def _end(home: Path) -> None:
    """Kill remaining processes after strace was killed: all with this folder in their arguments."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(home) in (process / "cmdline").read_bytes():
                os.kill(int(process.name), SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended


def _run(home: Path, scene: Scene, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run the scene's command with strace, which traces only the calls that may fail."""
    calls = ",".join(f"?{call}" for call in FAULTS)
    traced = ["strace", "-f", "-qq", "-e", f"trace={calls}", *options]
    for name in scene.paths:
        traced += ["-P", str(home / name)]
    return subprocess.run(
        [*traced, *PROGRAM, "--db", str(home / "queue.db"), *scene.words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=DEADLINE_S,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


SYSCALLS = Proof(
    name="syscalls",
    guarantee="A file operation that fails or is the last leaves a sound queue and a clear answer",
    unit="calls",
    in_test=12,
    in_prove=250,
    in_torture=100_000,
    run=sweep,
)

"""Every call by which the real program touches its files, made to fail or to be its last.

strace runs the program once to see the calls, and then once for each call and fault. Its counts
are of a process each, so that a worker's supervisors that follow one another all meet the fault.
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
"""The errors to give; being killed comes with each call."""

KILLED = "KILL"


class Case(NamedTuple):
    """The one call that goes wrong."""

    scene: Scene
    call: str
    number: int
    """Which of its kind in a process: 1 is the first."""
    fault: str

    @property
    def injection(self) -> str:
        """As strace takes it."""
        how = "signal=SIGKILL" if self.fault == KILLED else f"error={self.fault}"
        return f"inject={self.call}:{how}:when={self.number}"

    @property
    def options(self) -> tuple[str, ...]:
        """The quick way stops at the calls traced alone; strace 6.1 injects no signal there."""
        quick = () if self.fault == KILLED else ("--seccomp-bpf",)
        return (*quick, "-e", self.injection)


def sweep(amount: int, seed: int) -> Tally:
    """Try so many cases, those of the first scenes first; all where that is more than there are."""
    found: list[str] = []
    done: Counter[str] = Counter()
    with TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        for case in islice(_cases(Path(folder), Random(seed)), amount):
            done[case.scene.name] += 1
            found += _tried(Path(folder), case)
    return Tally(done.total(), found, ", ".join(f"{name} {n}" for name, n in done.items()))


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
    """Of several processes, each counted for itself, one may be unlocking: that cannot fail."""
    return () if scene.keeper and call == "fcntl" else FAULTS[call]


def _calls(folder: Path, scene: Scene) -> set[tuple[str, int]]:
    """The calls that have to do with the queue's folder: their names, and which of their kind."""
    with _home(folder, scene) as home:
        _run(home, scene, "-y", "-o", str(folder / "calls"))
    seen: Counter[tuple[str, str]] = Counter()
    wanted = set()
    for line in (folder / "calls").read_text(errors="replace").splitlines():
        if called := re.match(r"(\d+) +(\w+)\(", line):
            pid, call = called.groups()
            seen[pid, call] += 1
            # Unlocking cannot fail, and asking who locks is not a write.
            if str(home) in line and not re.search("F_UNLCK|F_GETLK", line):
                wanted.add((call, seen[pid, call]))
    assert wanted, f"strace saw nothing of {scene.name}"
    return wanted


def _tried(folder: Path, case: Case) -> list[str]:
    """What is wrong after one case, a line each."""
    with _home(folder, case.scene) as home:
        try:
            done = _run(home, case.scene, "-o", "/dev/null", *case.options)
        except subprocess.TimeoutExpired:
            _end(home)
            return [f"{case.scene.name}, {case.injection}: hangs"]
        killed = case.fault == KILLED
        after = After(home, done.returncode, done.stdout, done.stderr, killed)
        return [
            f"{case.scene.name}, {case.injection}: {what}" for what in judged(case.scene, after)
        ]


class _home:
    """The folder of one run, as the scene has it before."""

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
    """Kill what goes on after strace was: all that was started with this folder in its words."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(home) in (process / "cmdline").read_bytes():
                os.kill(int(process.name), SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended meanwhile


def _run(home: Path, scene: Scene, *options: str) -> "subprocess.CompletedProcess[str]":
    """The scene's command below strace, which looks at the calls that may fail, and no others."""
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
    promise="A file operation that fails, or is the last, leaves a whole queue and a clear answer",
    unit="calls",
    in_test=24,
    in_prove=250,
    in_torture=100_000,
    run=sweep,
)

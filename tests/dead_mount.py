"""A worker with a mount whose server does not answer: a FUSE mount whose requests are not read.

The mount is created in the worker's own mount namespace and ends with it. This needs root, or user
namespaces; `MISSING` is the reason why it is not possible on this machine.
"""

import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from tests.ctl import Ctl, Running

BECOME = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
NEW_MOUNTS, NEW_USER, PRIVATE, DEATH_SIGNAL = 0x20000, 0x10000000, 0x44000, 1
uid, gid = os.getuid(), os.getgid()
def check(result):
    if result != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
if uid == 0:
    check(libc.unshare(NEW_MOUNTS))
else:
    check(libc.unshare(NEW_MOUNTS | NEW_USER))
    for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"),
                       ("gid_map", f"{gid} {gid} 1")):
        open(f"/proc/self/{name}", "w").write(line)
check(libc.mount(None, b"/", None, PRIVATE, None))
connection = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={connection},rootmode=40000,user_id={uid},group_id={gid}"
check(libc.mount(b"dead", sys.argv[1].encode(), b"fuse", 0, options.encode()))
parent = os.getpid()
if os.fork() == 0:  # holds the connection for as long as the worker lives
    libc.prctl(DEATH_SIGNAL, signal.SIGKILL)
    os.closerange(0, 3)
    while os.getppid() == parent:
        signal.pause()
    os._exit(0)
os.close(connection)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def _missing() -> str | None:
    """Return why such a mount cannot be created here; None if it can."""
    probe = f"import tempfile, sys; sys.argv[1:] = [tempfile.mkdtemp(), '-c', '']\n{BECOME}"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else f"no FUSE mount can be made: {done.stderr[-200:]}"


MISSING = _missing()


class WithDeadMount(Ctl):
    """`queuectl` whose workers have a dead mount at `dead`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.dead = folder / "dead"
        self.dead.mkdir()

    def worker(self, *words: str) -> AbstractContextManager[Running]:
        """Run `worker start WORDS` during the block."""
        return _Block(self.start_python(BECOME, str(self.dead), *_WORKER, *words))


_WORKER = ("-m", "queuectl", "worker", "start")


class _Block(AbstractContextManager[Running]):
    def __init__(self, running: Running) -> None:
        self._running = running

    def __enter__(self) -> Running:
        return self._running

    def __exit__(self, *_: object) -> None:
        self._running.end()

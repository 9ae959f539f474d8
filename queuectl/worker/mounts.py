"""Which paths can be looked up without waiting for another machine or a user's process.

Looking up a path on a network mount whose server is gone blocks whoever does it. The mount table
says where such mounts are, and reading it touches none of them. See docs/decisions/0012.
"""

import os
import select
import time

LOCAL = frozenset(
    b"ext2 ext3 ext4 xfs btrfs zfs bcachefs f2fs jfs nilfs2 reiserfs vfat exfat ntfs3 iso9660 udf"
    b" squashfs erofs overlay aufs tmpfs ramfs devtmpfs devpts hugetlbfs proc sysfs cgroup cgroup2"
    b" configfs debugfs tracefs securityfs efivarfs pstore bpf fusectl binfmt_misc rpc_pipefs nsfs"
    b" selinuxfs".split()
)
"""File systems of this kernel and its own disks. FUSE, NFS, autofs and unknown ones are not."""

REMEMBERED_S = 5.0
"""How long an answer is reused: a link may be changed, and something be mounted, meanwhile."""
MOST_LINKS = 40
"""The kernel follows no more of them either."""
MOST_INTERPRETERS = 5
"""A script's interpreter may be a script; the kernel follows as many."""


class Mounts:
    """The mounts that may block, and what was found out about paths lately."""

    def __init__(self, table: str = "/proc/self/mountinfo") -> None:
        self._foreign: frozenset[bytes] = frozenset()
        self._answers: dict[tuple[bytes, ...], bool] = {}
        self._until = 0.0
        self._table = _open(table)
        self._changed = select.poll()
        if self._table is not None:
            self._changed.register(self._table, select.POLLPRI)
            self._foreign = _foreign(self._table)

    @property
    def any_foreign(self) -> bool:
        """Whether there is a mount that may block."""
        return bool(self._foreign)

    def refresh(self) -> None:
        """Forget old answers and take in what was mounted. Call it before each launch."""
        now = time.monotonic()
        if now < self._until or self._table is None:
            return
        self._until = now + REMEMBERED_S
        self._answers.clear()
        if self._changed.poll(0):
            self._foreign = _foreign(self._table)

    def local(self, *paths: bytes) -> bool:
        """Whether all of these absolute paths lead through local file systems only."""
        if not self._foreign:
            return True
        if (answer := self._answers.get(paths)) is None:
            answer = self._answers[paths] = all(self._is_local(path) for path in paths)
        return answer

    def runs_locally(self, *programs: bytes) -> bool:
        """The same for programs: their interpreters, if they are scripts, are local as well."""
        if not self._foreign:
            return True
        key = (b"#!", *programs)
        if (answer := self._answers.get(key)) is None:
            answer = self._answers[key] = all(self._runs_locally(one) for one in programs)
        return answer

    def _runs_locally(self, program: bytes) -> bool:
        for _ in range(MOST_INTERPRETERS):
            if not self._is_local(program):
                return False
            if (interpreter := _interpreter(program)) is None:
                return True
            program = interpreter
        return True

    def _is_local(self, path: bytes) -> bool:
        """Follow `path` name by name, as the kernel would, and stop before a mount that may block.

        Never touches anything beyond such a mount.
        """
        names = path.split(b"/")[::-1]
        here, links = b"", 0
        while names and links <= MOST_LINKS:
            name = names.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                here = here.rpartition(b"/")[0]
                continue
            step = here + b"/" + name
            if step in self._foreign:
                return False
            if (target := _link_target(step)) is None:
                here = step
                continue
            links += 1
            names += target.split(b"/")[::-1]
            if target.startswith(b"/"):
                here = b""
        return True


def _open(table: str) -> int | None:
    """The mount table, which is read again when it changes; None where there is none (macOS)."""
    try:
        return os.open(table, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _foreign(table: int) -> frozenset[bytes]:
    """Where file systems are mounted that are not known to be local.

    The root is trusted whatever it is: without it nothing on the machine works.
    Source: proc_pid_mountinfo(5): the fifth field is the mount point, the type follows ` - `.
    """
    with open(table, "rb", closefd=False) as file:
        file.seek(0)
        lines = file.read().splitlines()
    mounts = [(line.split(b" ", 5)[4], line.partition(b" - ")[2].split()[0]) for line in lines]
    return frozenset(_unescaped(point) for point, kind in mounts if kind not in LOCAL) - {b"/"}


def _unescaped(point: bytes) -> bytes:
    r"""A mount point as it is: the table writes a space as `\040`."""
    for octal in (b"040", b"011", b"012", b"134"):
        point = point.replace(b"\\" + octal, bytes([int(octal, 8)]))
    return point


def _link_target(path: bytes) -> bytes | None:
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return None  # no link, or nothing there: the kernel says so at once


def _interpreter(program: bytes) -> bytes | None:
    """The absolute path in the first line of a script; None for any other file."""
    try:
        file = os.open(program, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        line = os.read(file, 256).partition(b"\n")[0]
    except OSError:
        return None
    finally:
        os.close(file)
    words = line[2:].split(None, 1) if line.startswith(b"#!") else []
    return words[0] if words and words[0].startswith(b"/") else None

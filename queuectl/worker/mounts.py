"""A check whether a path can be looked up without waiting for another machine or a user process.

Looking up a path on a network mount blocks the caller if the server is unreachable. The mount table
lists such mounts, and reading the table accesses none of them. See docs/decisions/0012.
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
"""File systems of the kernel and of local disks. FUSE, NFS, autofs and others may block."""

REMEMBERED_S = 5.0
"""How long a result is reused. A link or a mount that changes during that time is not noticed."""
MOST_LINKS = 40
"""The most symbolic links to follow in one path: the limit of the kernel."""
MOST_INTERPRETERS = 5
"""The most interpreters to follow: a script's interpreter may itself be a script."""


class Mounts:
    """The mounts that may block, and a short-lived cache of results for paths."""

    def __init__(self, table: str = "/proc/self/mountinfo") -> None:
        self._foreign: frozenset[bytes] = frozenset()
        self._results: dict[tuple[bytes, ...], bool] = {}
        self._until = 0.0
        self._table = _open(table)
        self._changed = select.poll()
        if self._table is not None:
            self._changed.register(self._table, select.POLLPRI)
            self._foreign = _foreign(self._table)

    @property
    def any_foreign(self) -> bool:
        """Whether the mount table has a mount that may block."""
        return bool(self._foreign)

    def refresh(self) -> None:
        """Drop old results, and read the mount table if it has changed.

        Call this before a launch.
        """
        now = time.monotonic()
        if now < self._until or self._table is None:
            return
        self._until = now + REMEMBERED_S
        self._results.clear()
        if self._changed.poll(0):
            self._foreign = _foreign(self._table)

    def local(self, *paths: bytes) -> bool:
        """Return whether all of these absolute paths are on local file systems only."""
        if not self._foreign:
            return True
        if (result := self._results.get(paths)) is None:
            result = self._results[paths] = all(self._is_local(path) for path in paths)
        return result

    def runs_locally(self, *programs: bytes) -> bool:
        """Return whether all of these programs, and the interpreters of scripts, are local."""
        if not self._foreign:
            return True
        key = (b"#!", *programs)
        if (result := self._results.get(key)) is None:
            result = self._results[key] = all(self._runs_locally(program) for program in programs)
        return result

    def _runs_locally(self, program: bytes) -> bool:
        for _ in range(MOST_INTERPRETERS):
            if not self._is_local(program):
                return False
            if (interpreter := _interpreter(program)) is None:
                return True
            program = interpreter
        return True

    def _is_local(self, path: bytes) -> bool:
        """Return False if `path` leads through a mount that may block.

        Follows the path name by name, as the kernel does. Never accesses such a mount.
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
    """Open the mount table; return None if the system has none (macOS)."""
    try:
        return os.open(table, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _foreign(table: int) -> frozenset[bytes]:
    """Return the mount points of file systems that are not known to be local.

    The root is always trusted: without it nothing on the machine works.
    Source: proc_pid_mountinfo(5): the fifth field is the mount point, the type follows ` - `.
    """
    with open(table, "rb", closefd=False) as file:
        file.seek(0)
        lines = file.read().splitlines()
    mounts = [(line.split(b" ", 5)[4], line.partition(b" - ")[2].split()[0]) for line in lines]
    return frozenset(_unescaped(point) for point, kind in mounts if kind not in LOCAL) - {b"/"}


def _unescaped(point: bytes) -> bytes:
    r"""Return the path of a mount point: the table writes a space as `\040`."""
    for octal in (b"040", b"011", b"012", b"134"):
        point = point.replace(b"\\" + octal, bytes([int(octal, 8)]))
    return point


def _link_target(path: bytes) -> bytes | None:
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return None  # not a link, or missing: the kernel will report that without blocking


def _interpreter(program: bytes) -> bytes | None:
    """Return the absolute path in the first line of a script; None for any other file."""
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

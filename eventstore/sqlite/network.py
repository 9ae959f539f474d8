"""Whether a file lies on a network file system, where SQLite's WAL and locks cannot be trusted."""

import os

NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.davfs2"}
)


def network_file_system(path: str, device: int) -> str | None:
    """The type of the network file system that `path` is on; None on a local disk, or overridden.

    device: its `st_dev`. Linux only: elsewhere None.
    """
    # Network file systems have no block device, so their major number is 0: the usual disk is told
    # without reading the mount table.
    if os.major(device) != 0 or os.environ.get("QUEUECTL_ALLOW_NETWORK") == "1":
        return None
    kind = _type_of_mount(f"{os.major(device)}:{os.minor(device)}")
    return kind if kind in NETWORK else None


def _type_of_mount(device: str) -> str | None:
    """Source: proc_pid_mountinfo(5): the third field is major:minor, the type follows `-`."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as table:
            for line in table:
                if line.split(" ", 3)[2] == device:
                    return line.partition(" - ")[2].split(" ", 1)[0]
    except FileNotFoundError:
        return None
    return None

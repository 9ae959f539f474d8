"""Detecting file systems that several machines share: SQLite's locks are not reliable there.

The WAL also needs shared memory, which processes on two machines, or in a virtual machine and on
its host, do not have.
"""

import os

_OVER_THE_NETWORK = (
    "nfs nfs4 cifs smb3 smbfs smb2 ncpfs ncp afs coda 9p ceph glusterfs lustre beegfs fhgfs gpfs"
    " wekafs panfs orangefs pvfs2 pohmelfs cvfs cxfs acfs daos quobyte nfsd dfs webdav"
)
_ON_SHARED_DISKS = "ocfs2 gfs gfs2 gpfs cvfs cxfs acfs vxfs oracleasmfs"
"""These file systems may be on a block device, like a local one."""
_FROM_THE_HOST = "virtiofs vboxsf vmhgfs prl_fs prl_vm_fs drvfs wslfs hgfs fakeowner osxfs grpcfuse"
"""Folders that a virtual machine shares with its host."""
_BY_FUSE = (
    "sshfs glusterfs rclone s3fs davfs2 davfs mfs moosefs lizardfs saunafs juicefs JuiceFS goofys"
    " gcsfuse blobfuse blobfuse2 mount-s3 mountpoint-s3 s3ql s3backer seaweedfs weed ceph ceph-fuse"
    " beegfs hdfs fuse_dfs hadoop alluxio cvmfs2 smbnetfs curlftpfs gvfsd-fuse kio-fuse nfs dfuse"
    " quobyte objectivefs cunofs vmhgfs-fuse prl_fsd grpcfuse osxfs fakeowner virtiofs drvfs"
    " google-drive-ocamlfuse onedriver keybase kbfuse ipfs peerfs ltfs"
)
SHARED = frozenset(
    {
        *_OVER_THE_NETWORK.split(),
        *_ON_SHARED_DISKS.split(),
        *_FROM_THE_HOST.split(),
        *(f"fuse.{name}" for name in _BY_FUSE.split()),
    }
)
"""Names of file systems as in the mount table.

Source: each project's mount program and documentation.
"""


def network_file_system(path: str, device: int) -> str | None:
    """Return the type of the shared file system that contains `path`.

    None for a local disk, if QUEUECTL_ALLOW_NETWORK=1 is set, and on systems other than Linux.
    device: `st_dev` of the file.
    """
    if os.environ.get("QUEUECTL_ALLOW_NETWORK") == "1":
        return None
    # Most shared file systems have no block device, so their major number is 0. A local disk is
    # recognized without reading the mount table, which may have thousands of lines.
    if os.major(device) != 0 and not _knows_shared_disks():
        return None
    kind = _type_of_mount(f"{os.major(device)}:{os.minor(device)}")
    return kind if kind in SHARED else None


def _knows_shared_disks() -> bool:
    """Return True if the kernel has loaded a file system for disks that several machines share."""
    try:
        with open("/proc/filesystems", mode="rb", buffering=0) as known:
            return not _SHARED_DISKS.isdisjoint(known.read().split())
    except OSError:
        return False


_SHARED_DISKS = frozenset(_ON_SHARED_DISKS.encode().split())


def _type_of_mount(device: str) -> str | None:
    """Return the file system type of the mount with this `major:minor`; None if it is not listed.

    Source: proc_pid_mountinfo(5): the third field is major:minor, the type follows `-`.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as table:
            for line in table:
                if line.split(" ", 3)[2] == device:
                    return line.partition(" - ")[2].split(" ", 1)[0]
    except FileNotFoundError:
        return None
    return None

"""Giving a file its name without replacing another, on file systems without hard links."""

import errno
import os

NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system says that knows no hard links: FAT, some network shares."""

_CURRENT_FOLDER = -100
_NO_REPLACE = 1


def rename_new(old: str, new: str) -> bool:
    """Rename a file unless there is one of the new name already; then return False.

    If the system cannot do that in one step, it is looked up first.
    """
    import ctypes  # 4 ms, and hardly ever needed

    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        arguments = (_CURRENT_FOLDER, os.fsencode(old), _CURRENT_FOLDER, os.fsencode(new))
        if function(*arguments, _NO_REPLACE) == 0:
            return True
        if ctypes.get_errno() == errno.EEXIST:
            return False
    if os.path.lexists(new):
        return False
    os.rename(old, new)
    return True

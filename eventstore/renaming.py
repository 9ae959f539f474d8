"""Renaming a file without replacing another one, on file systems without hard links."""

import errno
import os

NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""Error numbers of os.link on file systems without hard links, such as FAT and network shares."""

_CURRENT_FOLDER = -100
_NO_REPLACE = 1


def rename_new(old: str, new: str) -> bool:
    """Rename a file; return False, and change nothing, if the new name exists already.

    If the system cannot do that in one step, the new name is checked before renaming.
    """
    import ctypes  # takes 4 ms to import and is rarely needed

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

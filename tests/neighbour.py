"""Acting as another local user: in a forked process with that user's rights."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree

from tests.machine import BECOMES_OTHER_USER, OTHER_USER


def as_nobody(act: Callable[..., object], *arguments: object) -> None:
    """Call `act` in a process of another user; fails the test if it raises.

    Only root can become another user; other users skip the call.
    """
    if not BECOMES_OTHER_USER:
        return
    process = get_context("fork").Process(target=_act, args=(act, arguments))
    process.start()
    process.join(60)
    assert process.exitcode == 0, f"{act.__name__} failed as user {OTHER_USER}; see its traceback"


def _act(act: Callable[..., object], arguments: tuple[object, ...]) -> None:
    os.setgroups([])
    os.setgid(OTHER_USER)
    os.setuid(OTHER_USER)
    act(*arguments)


@contextmanager
def shared_folder(mode: int) -> Iterator[Path]:
    """Create a folder with this mode that other users can reach (those of pytest are private).

    During the block the umask is 0, so that files are private only if the program makes them so.
    """
    folder = Path(tempfile.mkdtemp(prefix="queuectl-neighbour-"))
    folder.chmod(mode)
    before = os.umask(0)
    try:
        yield folder
    finally:
        os.umask(before)
        rmtree(folder)

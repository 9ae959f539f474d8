"""The files that a killed process leaves behind."""

import subprocess
import sys
from pathlib import Path

ENQUEUE_AND_DIE = """
import os, sys
from queuectl import Queue
queue = Queue(sys.argv[1])
queue.enqueue("true")
os.kill(os.getpid(), 9)"""


def leave_a_wal(path: Path) -> None:
    """Enqueue a job in a process that is killed then: its records are only in the -wal."""
    subprocess.run([sys.executable, "-c", ENQUEUE_AND_DIE, str(path)], check=False)
    assert Path(f"{path}-wal").stat().st_size

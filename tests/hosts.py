"""Several machines on one: namespaces with their own network, processes, host name and boot id.

Each host reaches the others and the server over a bridge. They share the files, so that a test can
read what the jobs of all hosts wrote. Needs root and the right to make network namespaces.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.ctl import PROGRAM, Running
from tests.postgres import Server, running

NETWORK = "10.77.{network}.{host}"


def missing_for_hosts() -> str | None:
    """Return what this machine lacks for hosts; None if nothing."""
    if os.geteuid() != 0:
        return "network namespaces (needs root)"
    for program in ("ip", "unshare", "nsenter"):
        if shutil.which(program) is None:
            return f"the program {program}"
    name = f"qt{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "the right to make network namespaces"
    _ip("netns", "delete", name)
    return None


class Host:
    """A machine: commands run in its namespaces, with its own folder for locks and outputs."""

    def __init__(self, name: str, network: "Network", number: int, folder: Path) -> None:
        self.name, self.folder = name, folder
        self._network, self._link = network, f"{network.prefix}{number}"
        self._namespace = f"{network.prefix}n{number}"
        folder.mkdir()
        _ip("netns", "add", self._namespace)
        _ip("link", "add", self._link, "type", "veth", "peer", "eth0", "netns", self._namespace)
        _ip("link", "set", self._link, "master", network.bridge, "up")
        inside = ("-n", self._namespace)
        address = NETWORK.format(network=network.number, host=number + 1)
        _ip(*inside, "address", "add", f"{address}/24", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "link", "set", "lo", "up")
        self._init = self._start_init()

    def _start_init(self) -> "subprocess.Popen[bytes]":
        """Start the process that holds the namespaces. It reaps orphans, as the pid 1 must."""
        boot_id = self.folder / "boot_id"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        script = (
            f"hostname {self.name};"
            f" mount --bind {boot_id} /proc/sys/kernel/random/boot_id; exec {sys.executable} -c '"
            "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
            ' print("up", flush=True); signal.pause()\nwhile True: signal.pause()\''
        )
        words = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]
        init = subprocess.Popen(
            ["ip", "netns", "exec", self._namespace, *words, script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert init.stdout is not None
        assert init.stdout.readline() == b"up\n"
        return init

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs a program on this host."""
        inside = str(_child(self._init.pid))
        return ["nsenter", "-t", inside, "-n", "-u", "-p", "-m", "--", *words]

    def environment(self, url: str) -> dict[str, str]:
        """Return the environment of commands on this host, for the queue at `url`."""
        outside = {key: text for key, text in os.environ.items() if not key.startswith("QUEUECTL_")}
        return {
            **outside,
            "QUEUECTL_DB": url,
            "XDG_STATE_HOME": str(self.folder),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }

    def start(self, url: str, *words: str, program: Sequence[str] = PROGRAM) -> Running:
        """Start `queuectl WORDS` on this host; the test must end it."""
        process = subprocess.Popen(
            self.command(*program, *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment(url),
        )
        return Running(process)

    def run(self, url: str, *words: str, code: int = 0) -> str:
        """Run `queuectl WORDS` on this host and return its output."""
        done = subprocess.run(
            self.command(*PROGRAM, *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment(url),
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"{words}: {done}"
        return done.stdout

    def cut_off(self) -> None:
        """Drop all its packets, silently."""
        _ip("link", "set", self._link, "nomaster")

    def reconnect(self) -> None:
        """Pass its packets again."""
        _ip("link", "set", self._link, "master", self._network.bridge)

    def workers(self) -> tuple[int, int]:
        """Return the pids of the keeper and the supervisor of its only worker, from outside."""
        listed = [pid for pid in self.processes() if b"queuectl\0worker\0start" in _words(pid)]
        keeper = next(pid for pid in listed if _parent(pid) not in listed)
        return keeper, next(pid for pid in listed if _parent(pid) == keeper)

    def processes(self) -> list[int]:
        """Return the pids of all its processes but the first, from outside."""
        inside = os.readlink(f"/proc/{_child(self._init.pid)}/ns/pid")
        return [
            pid
            for pid in map(int, filter(str.isdecimal, os.listdir("/proc")))
            if pid != _child(self._init.pid) and _namespace(pid) == inside
        ]

    def power_off(self) -> None:
        """Kill all its processes at once."""
        self._init.send_signal(signal.SIGKILL)
        self._init.wait()

    def power_on(self) -> None:
        """Boot it again after `power_off`."""
        self._init = self._start_init()

    def remove(self) -> None:
        """End its processes and remove its network."""
        self.power_off()
        subprocess.run(["ip", "netns", "delete", self._namespace], check=False)


class Network:
    """A bridge with an address for the server."""

    def __init__(self) -> None:
        self.number = _free_network()
        self.prefix = f"q{secrets.token_hex(2)}"
        self.bridge = f"{self.prefix}b"
        self.address = NETWORK.format(network=self.number, host=1)
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("address", "add", f"{self.address}/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")

    def remove(self) -> None:
        """Remove the bridge."""
        _ip("link", "delete", self.bridge)


class Machines:
    """A server and some hosts that reach it over the network."""

    def __init__(self, server: Server, network: Network, hosts: Sequence[Host]) -> None:
        self.server, self.hosts = server, hosts
        self._address = network.address

    def url(self, queue: str) -> str:
        """Return the address of a queue, as the hosts reach it."""
        return f"postgresql://postgres@{self._address}/postgres?queue={queue}"


@contextmanager
def machines(installation: str, folder: Path, names: Sequence[str]) -> Iterator[Machines]:
    """Run a server and hosts with these names during the block."""
    with ExitStack() as stack:
        network = Network()
        stack.callback(network.remove)
        options = (f"listen_addresses={network.address}", "max_connections=300")
        server = stack.enter_context(running(installation, *options))
        server.admit(f"host all all {network.address}/24 trust")
        hosts = []
        for number, name in enumerate(names, 1):
            host = Host(name, network, number, folder / name)
            stack.callback(host.remove)
            hosts.append(host)
        yield Machines(server, network, hosts)


def _free_network() -> int:
    """Return the number of a network that no other run has an address in."""
    used = subprocess.run(["ip", "-br", "address"], capture_output=True, text=True, check=True)
    numbers = [n for n in range(20, 250) if NETWORK.format(network=n, host="") not in used.stdout]
    return secrets.choice(numbers)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _child(pid: int) -> int | None:
    """Return the first child of a process; None if it has none."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return None
    return int(text.split()[0]) if text.split() else None


def _parent(pid: int) -> int:
    """Return the parent of a process; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0


def _words(pid: int) -> bytes:
    """Return the command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""

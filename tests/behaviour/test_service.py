"""The units that `service` writes: what systemd reads in them, and what is never overwritten.

No test needs systemd; if systemd-analyze is installed, it reads the units as well.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from queuectl.systemd.unit import Service, unit_text
from tests.ctl import Ctl

ANALYZE = shutil.which("systemd-analyze")
LEASE_US = 120_000_000


def service(*, on_server: bool = False, lease_us: int | None = None) -> Service:
    return Service(
        scope="user",
        place="/q.db",
        command=("/bin/true", "--db", "/q.db", "worker", "start"),
        user=None,
        environment={},
        on_server=on_server,
        lease_us=lease_us,
    )


def settings(text: str) -> dict[str, str]:
    """Return the settings of a unit by their names."""
    lines = [line for line in text.splitlines() if line and line[0] not in "#["]
    pairs = [line.partition("=") for line in lines]
    assert len({name for name, _, _ in pairs}) == len(pairs)
    return {name: value for name, _, value in pairs}


@pytest.fixture
def home(ctl: Ctl) -> Ctl:
    """A user without systemd, whose configuration is in a folder of the test."""
    path = f"{ctl.folder / 'bin'}"
    (ctl.folder / "bin").mkdir()
    for name in ("env", "python3"):
        (ctl.folder / "bin" / name).symlink_to(shutil.which(name) or "/nonexistent")
    ctl.env |= {"XDG_CONFIG_HOME": str(ctl.folder / "config"), "PATH": path}
    return ctl


def unit(ctl: Ctl, name: str = "queuectl") -> Path:
    return ctl.folder / "config" / "systemd" / "user" / f"{name}.service"


def test_a_unit_is_written_once_and_another_one_is_not_overwritten(home: Ctl) -> None:
    first = home("service", "install", "--count", "4")
    text = unit(home).read_text()
    assert "systemctl --user enable --now queuectl" in first.err
    assert "loginctl enable-linger" in first.err
    assert "systemctl: not found in PATH" in first.err
    assert "is installed already" in home("service", "install", "--count", "4").err
    refused = home("service", "install", "--count", "5", code=4)
    assert "exists with other content; choose another --name, or" in refused.err
    assert unit(home).read_text() == text
    home("service", "install", "--count", "5", "--force")
    assert "--count 5" in unit(home).read_text()
    assert [path.name for path in unit(home).parent.iterdir()] == ["queuectl.service"]


def test_a_unit_has_the_options_of_its_worker(home: Ctl) -> None:
    options = ("--count", "3", "--queue", "a", "--queue", "b", "--name", "encodes")
    printed = home("service", "print", *options).out
    assert not unit(home).parent.exists()
    home("service", "install", *options)
    assert unit(home, "queuectl-encodes").read_text() == printed
    command = settings(printed)["ExecStart"]
    assert re.match(r"/\S+ (-m queuectl )?--db /\S+ worker start ", command)
    assert command.endswith(" worker start --count 3 --queue a --queue b --name encodes")


@pytest.mark.parametrize("name", ["a/b", "x@y", "", "é"])
def test_a_name_that_no_unit_can_have_is_refused(home: Ctl, name: str) -> None:
    assert "--name must have" in home("service", "install", "--name", name, code=2).err


def test_a_service_is_removed_unless_someone_else_has_written_it(home: Ctl) -> None:
    assert "not installed" in home("service", "status", code=3).err
    assert "not installed" in home("service", "uninstall").err
    home("service", "install")
    (enabled := unit(home).parent / "default.target.wants").mkdir()
    (enabled / "queuectl.service").symlink_to(unit(home))
    shown = home("service", "status")
    assert shown.lines[0] == f"unit: {unit(home)}"
    assert "whether it runs is unknown (systemctl: not found in PATH)" in shown.err
    home("service", "uninstall")
    assert [*enabled.iterdir()] == []
    unit(home).write_text("[Service]\n")
    assert "was not written by queuectl" in home("service", "uninstall", code=4).err
    assert unit(home).exists()


def test_a_running_service_is_not_removed(home: Ctl) -> None:
    fake = home.folder / "bin" / "systemctl"
    fake.write_text("#!/bin/sh\necho ActiveState=active\necho SubState=running\n")
    fake.chmod(0o755)
    home("service", "install")
    refused = home("service", "uninstall", code=4).err
    assert "is active; stop it first: systemctl --user disable --now queuectl.service" in refused
    assert "state: active (running), unknown to systemd" in home("service", "status").out
    assert unit(home).exists()


def test_a_service_of_the_machine_runs_as_the_owner_of_the_queue(home: Ctl) -> None:
    found = settings(home("service", "print", "--system").out)
    assert found["User"] == Path(home.folder).owner()
    assert found["WantedBy"] == "multi-user.target"
    assert "User" not in settings(home("service", "print").out)


def test_only_a_server_with_a_lease_has_a_watchdog() -> None:
    for without in (service(), service(on_server=True)):
        assert not {"WatchdogSec", "WatchdogSignal", "TimeoutAbortSec"} & {
            *settings(unit_text(without))
        }
    found = settings(unit_text(service(on_server=True, lease_us=LEASE_US)))
    assert found["WatchdogSec"] == "65000ms"
    assert found["WatchdogSignal"] == "SIGKILL"
    assert found["TimeoutAbortSec"] == "10000ms"
    assert found["KillMode"] == "mixed"


ODD = "/a b/%h/$HOME/${X}/\"q\"/'s'/\\t/ü/\n.db"


def test_words_are_quoted_for_systemd() -> None:
    odd = service()._replace(
        command=("/bin/tr ue%", "--db", ODD), environment={"A": "b c%d$e"}, place=ODD
    )
    found = settings(unit_text(odd))
    quoted = r"/a b/%%h/$$HOME/$${X}/\"q\"/'s'/\\t/ü/\x0a.db"
    assert found["ExecStart"] == f'"/bin/tr ue%%" --db "{quoted}"'
    assert found["Environment"] == '"A=b c%%d$e"'
    assert "%%h" in found["Description"]
    assert "\n" not in found["Description"]


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    assert ANALYZE is not None
    full = service(on_server=True, lease_us=LEASE_US)._replace(
        scope="system", command=("/bin/true", "--db", ODD), environment={"A": ODD}, user="root"
    )
    for number, described in enumerate((service(), full)):
        path = tmp_path / f"queuectl-{number}.service"
        path.write_text(unit_text(described))
        done = subprocess.run(
            [ANALYZE, "verify", "--man=no", f"--{described.scope}", str(path)],
            capture_output=True,
            text=True,
            env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/bin:/usr/bin"},
            timeout=60,
            check=False,
        )
        assert (done.returncode, path.name in done.stderr) == (0, False), done.stderr

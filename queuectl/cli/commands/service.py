"""`service`: a worker that systemd starts, watches and stops."""

import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from ... import exit_codes
from ..ui import options
from ..ui.invocation import named_db
from ..ui.printer import line, note

if TYPE_CHECKING:
    from eventstore.location import Location

    from ...systemd.systemctl import Systemctl
    from ...systemd.unit import Scope, Service

R = TypeVar("R")

NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""A name that is part of a unit's name, and the worker's."""

KEPT = ("QUEUECTL_ALLOW_NETWORK",)
KEPT_ON_SERVER = (
    "XDG_STATE_HOME",
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGDATABASE",
    "PGHOST",
    "PGHOSTADDR",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPORT",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCRL",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGTARGETSESSIONATTRS",
    "PGUSER",
)
"""Variables that decide which queue is meant, so the unit has them. None is a secret."""


@click.group("service")
def service_command() -> None:
    """Run a worker as a service (Linux with systemd)."""


def _scope(run: Callable[..., R]) -> Callable[..., R]:
    """Add `--user` and `--system`, and pass the subcommand `scope`."""
    user = click.option(
        "--user", "scope", flag_value="user", default=True, help="A service of yours [default]."
    )
    system = click.option(
        "--system", "scope", flag_value="system", help="A service of the machine; needs root."
    )
    return user(system(run))


def _name(run: Callable[..., R]) -> Callable[..., R]:
    """Add `--name NAME`."""
    help_ = "Name of the worker; its unit is queuectl-NAME [default: queuectl]."
    return click.option("--name", metavar="NAME", callback=_checked, help=help_)(run)


def _checked(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:
    if name is not None and not NAME.fullmatch(name):
        from ...errors import BadInput
        from ...escape import for_errors

        raise BadInput(
            f"--name must have 1 to 100 letters, digits, '_', '.' or '-', not {for_errors(name)}"
        )
    return name


def _worker(run: Callable[..., R]) -> Callable[..., R]:
    """Add the options of the worker."""
    return _scope(options.worker_options(_name(run)))


@service_command.command(
    "install",
    epilog=options.examples(
        "queuectl service install --count 4",
        "queuectl service install --queue encodes --name encodes --force",
    ),
)
@_worker
@click.option("--force", is_flag=True, help="Replace another unit file of this name.")
def install(
    scope: "Scope", count: int, queues: tuple[str, ...], name: str | None, force: bool
) -> None:
    """Write the unit of a worker, and print how to enable it."""
    from ...systemd.systemctl import Systemctl
    from ...systemd.unit import unit_text
    from ...systemd.unit_file import UnitFile

    location, service = _described(scope, count, queues, name)
    file = UnitFile(scope, name)
    outcome = file.write(unit_text(service), replace=force)
    note(f"wrote {file.path}" if outcome == "written" else f"{file.path} is installed already")
    systemctl = Systemctl(scope)
    if systemctl.silence is None:
        systemctl.reload()
    _say_what_is_missing(location, service, systemctl)
    unit = file.unit.removesuffix(".service")
    note(f"To start it now and always: {systemctl.line('enable', '--now', unit)}")
    if scope == "user":
        note("To let it run while you are not logged in: loginctl enable-linger")


@service_command.command(
    "print",
    epilog=options.examples(
        "queuectl service print", "queuectl service print --system --count 4 --name encodes"
    ),
)
@_worker
def print_(scope: "Scope", count: int, queues: tuple[str, ...], name: str | None) -> None:
    """Print the unit that `service install` would write."""
    from ...systemd.unit import unit_text

    _, service = _described(scope, count, queues, name)
    line(unit_text(service).rstrip("\n"))


@service_command.command("status", epilog=options.examples("queuectl service status"))
@_scope
@_name
def status(scope: "Scope", name: str | None) -> int:
    """Print whether the service is installed, and what systemd says of it."""
    from ...errors import NoService
    from ...escape import visible
    from ...systemd.systemctl import Systemctl
    from ...systemd.unit_file import UnitFile

    file = UnitFile(scope, name)
    if (text := file.text()) is None:
        raise NoService(file.path)
    line(f"unit: {file.path}")
    for command in re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE):
        line(f"command: {visible(command)}")
    systemctl = Systemctl(scope)
    if systemctl.silence is not None:
        note(f"whether it runs is unknown ({systemctl.silence}); see: queuectl worker list")
        return exit_codes.DONE
    known = systemctl.properties(file.unit)
    enabled = known.get("UnitFileState") or "unknown to systemd"
    line(f"state: {known.get('ActiveState')} ({known.get('SubState')}), {enabled}")
    if known.get("StatusText"):
        line(f"status: {visible(known['StatusText'])}")
    if known.get("MainPID", "0") != "0":
        line(f"pid: {known['MainPID']}")
    return exit_codes.DONE if known.get("ActiveState") == "active" else exit_codes.NO


@service_command.command("uninstall", epilog=options.examples("queuectl service uninstall"))
@_scope
@_name
def uninstall(scope: "Scope", name: str | None) -> None:
    """Remove the unit of a service that is stopped."""
    from ...errors import ServiceRuns
    from ...systemd.systemctl import Systemctl
    from ...systemd.unit_file import UnitFile

    file = UnitFile(scope, name)
    systemctl = Systemctl(scope)
    if systemctl.silence is None:
        state = systemctl.properties(file.unit).get("ActiveState", "inactive")
        if file.text() is not None and state not in ("inactive", "failed"):
            raise ServiceRuns(file.unit, state, systemctl.line("disable", "--now", file.unit))
    if not file.remove():
        note(f"not installed: there is no {file.path}")
        return
    note(f"removed {file.path}")
    if systemctl.silence is None:
        systemctl.reload()
    else:
        note(f"whether it runs is unknown ({systemctl.silence}); see: queuectl worker list")


def _described(
    scope: "Scope", count: int, queues: tuple[str, ...], name: str | None
) -> "tuple[Location, Service]":
    """Return the queue, and the service that the options describe.

    Raises BadInput, InvalidAddress, or Away if the lease cannot be read from the server.
    """
    from eventstore.location import locate

    from ...errors import BadInput
    from ...input.job_values import name_of_queue
    from ...systemd.unit import Service

    for queue in queues:
        name_of_queue("--queue", queue)
    location = locate(named_db())
    words = [*_program(), "--db", location.name, "worker", "start", "--count", str(count)]
    for queue in queues:
        words += ["--queue", queue]
    if name is not None:
        words += ["--name", name]
    environment = _environment(location)
    if not all(text.isprintable() or text.isascii() for text in (*words, *environment.values())):
        raise BadInput("a unit file cannot have a path or variable that is not printable text")
    return location, Service(
        scope=scope,
        place=location.name,
        command=words,
        user=_user(location) if scope == "system" else None,
        environment=environment,
        on_server=location.on_server,
        lease_us=_lease_us(location),
    )


def _program() -> list[str]:
    """Return how this program was started, by absolute paths."""
    import shutil

    if os.path.basename(sys.argv[0]) == "__main__.py":
        return [sys.executable, "-m", "queuectl"]
    return [os.path.abspath(shutil.which(sys.argv[0]) or sys.argv[0])]


def _environment(location: "Location") -> dict[str, str]:
    """Return the variables of this environment that a worker needs to find the same queue."""
    from eventstore.location import label_of

    names = (*KEPT, *KEPT_ON_SERVER) if location.on_server else KEPT
    kept = {name: os.environ[name] for name in names if os.environ.get(name)}
    if location.on_server and (direct := os.environ.get("QUEUECTL_DB_DIRECT")):
        kept["QUEUECTL_DB_DIRECT"] = label_of(direct)
    return kept


def _user(location: "Location") -> str:
    """Return the user of a service of the machine: the owner of the file, or who runs sudo."""
    if location.on_server:
        return os.environ.get("SUDO_USER") or _account(os.geteuid())
    path = location.place
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return _account(os.stat(path).st_uid)


def _account(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # it has no account name
        return str(user)


def _lease_us(location: "Location") -> int | None:
    if not location.on_server:
        return None
    from projections.read_models import settings

    from ...core.settings import lease_us
    from ...core.snapshot import Reading

    reading = Reading(location)
    try:
        with reading.read() as tx:
            return lease_us(settings.in_force(tx))
    finally:
        reading.close()


def _say_what_is_missing(location: "Location", service: "Service", systemctl: "Systemctl") -> None:
    if location.on_server and (location.place != location.name or os.environ.get("PGPASSWORD")):
        note("The unit has no password: put it into ~/.pgpass, or name a file by PGPASSFILE.")
    if service.user == "root":
        note("Its jobs run as root, which owns the queue.")
    if systemctl.silence is not None:
        note(f"systemd did not answer ({systemctl.silence}): the unit has no effect without it")

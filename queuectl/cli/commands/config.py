"""`config`: show and change settings. Each change is recorded as an event."""

import click

from projections.folds.config import SettingValue
from projections.read_models import settings as read_model

from ...api import Queue
from ...core.requests import SetConfig
from ...core.settings import SETTINGS, Setting, setting
from ...core.snapshot import Reading
from ...core.transaction import Session
from ...json_shapes import SettingShape
from ..ui import options
from ..ui.json_answers import Settings
from ..ui.mutations import rehearse, unless_refused
from ..ui.printer import Printer, line
from ..ui.recorded import answering
from ..ui.style import Column

DEFAULT = "default"
"""The word that resets a setting, in place of a value."""

KEYS = "\b\nKeys:\n" + "\n".join(f"  {entry.key:<13} {entry.help}" for entry in SETTINGS.values())

SettingRow = tuple[Setting, SettingValue]

SETTING_COLUMNS: tuple[Column[SettingRow], ...] = (
    Column("key", lambda row: row[0].key, lambda row, _: row[0].key),
    Column("value", lambda row: row[0].show(row[1]), lambda row, _: row[0].show(row[1])),
    Column("", lambda row: row[0].help, lambda row, _: row[0].help, wide=True),
)


@click.group("config", epilog=KEYS)
def config_command() -> None:
    """Show or change the defaults for new jobs and workers."""


@config_command.command("get", epilog=options.examples("queuectl config get max-retries"))
@click.argument("key", metavar="KEY", shell_complete=options.completed_by("settings"))
@options.printer
@options.reading
def get(reading: Reading, out: Printer, key: str) -> None:
    """Print the value of a setting."""
    entry = setting(key)
    (row,) = _read_and_print_json(reading, out, (entry,))
    if out.form is None:
        line(entry.show(row[1]))


@config_command.command(
    "list", epilog=options.examples("queuectl config list", "queuectl config list --json")
)
@options.printer
@options.reading
def list_(reading: Reading, out: Printer) -> None:
    """List all settings and their current values."""
    rows = _read_and_print_json(reading, out, tuple(SETTINGS.values()))
    if out.form is None:
        out.table(SETTING_COLUMNS, rows)


@config_command.command(
    "set",
    context_settings={"ignore_unknown_options": True},  # a value may begin with a dash: -1
    epilog=options.examples(
        "queuectl config set max-retries 5", "queuectl config set backoff-max 30m"
    ),
)
@click.argument("key", metavar="KEY", shell_complete=options.completed_by("settings"))
@click.argument("value", metavar="VALUE")
@options.reason
@options.dry_run
@options.printer
def set_(out: Printer, key: str, value: str, reason: str | None, dry_run: bool) -> None:
    """Set a default for new jobs or workers ('default' resets it)."""
    entry = setting(key)
    stored = None if value == DEFAULT else entry.parse(value)
    request = SetConfig(key=entry.key, value=stored, reason=reason)

    def act(session: Session) -> None:
        unless_refused(session.send(request))

    with options.open_queue() as queue:
        if dry_run:
            rehearse(queue, out, act)
            return
        _set(queue, out, entry, request)


def _set(queue: Queue, out: Printer, entry: Setting, request: SetConfig) -> None:
    with queue.write() as session:
        unless_refused(session.send(request))
        position, _ = session.tx.last
    value = entry.default if request.value is None else request.value
    change = f"{entry.key} = {entry.show(value)}"
    with answering(lambda: change):
        if out.form == "json":
            out.document(Settings(position=position, settings=[_shape(entry, value)]))
        else:
            line(change)


def _read_and_print_json(
    reading: Reading, out: Printer, entries: tuple[Setting, ...]
) -> list[SettingRow]:
    """Return the settings with their current values. If --json was given, also print them."""
    with reading.read() as tx:
        values, position = read_model.in_force(tx), tx.head().position
    rows = [(entry, values.get(entry.key, entry.default)) for entry in entries]
    if out.form == "json":
        out.document(Settings(position=position, settings=[_shape(*row) for row in rows]))
    return rows


def _shape(entry: Setting, value: SettingValue) -> SettingShape:
    return SettingShape(
        key=entry.key,
        value=entry.show(value),
        default=entry.show(entry.default),
        help=entry.help,
    )

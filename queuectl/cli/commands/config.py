"""`config`: the settings, each change of which is an event."""

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
"""Instead of a value: back to the default."""

KEYS = "\b\nKeys:\n" + "\n".join(f"  {one.key:<13} {one.help}" for one in SETTINGS.values())

SettingRow = tuple[Setting, SettingValue]

SETTING_COLUMNS: tuple[Column[SettingRow], ...] = (
    Column("key", lambda row: row[0].key, lambda row, _: row[0].key),
    Column("value", lambda row: row[0].show(row[1]), lambda row, _: row[0].show(row[1])),
    Column("", lambda row: row[0].help, lambda row, _: row[0].help, wide=True),
)


@click.group("config", epilog=KEYS)
def config_command() -> None:
    """Show or change the default settings for new jobs."""


@config_command.command("get", epilog=options.examples("queuectl config get max-retries"))
@click.argument("key", metavar="KEY", shell_complete=options.completed_by("settings"))
@options.printer
@options.reading
def get(reading: Reading, out: Printer, key: str) -> None:
    """Print the value of a setting."""
    wanted = setting(key)
    (row,) = _in_force(reading, out, (wanted,))
    if out.form is None:
        line(wanted.show(row[1]))


@config_command.command(
    "list", epilog=options.examples("queuectl config list", "queuectl config list --json")
)
@options.printer
@options.reading
def list_(reading: Reading, out: Printer) -> None:
    """List all settings and their current values."""
    rows = _in_force(reading, out, tuple(SETTINGS.values()))
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
    """Set a default for new jobs ('default' resets it)."""
    wanted = setting(key)
    stored = None if value == DEFAULT else wanted.parse(value)
    asked = SetConfig(key=wanted.key, value=stored, reason=reason)

    def act(session: Session) -> None:
        unless_refused(session.send(asked))

    with options.open_queue() as queue:
        if dry_run:
            rehearse(queue, out, act)
            return
        _set(queue, out, wanted, asked)


def _set(queue: Queue, out: Printer, wanted: Setting, asked: SetConfig) -> None:
    with queue.write() as session:
        unless_refused(session.send(asked))
        position, _ = session.tx.last
    now = wanted.default if asked.value is None else asked.value
    change = f"{wanted.key} = {wanted.show(now)}"
    with answering(lambda: change):
        if out.form == "json":
            out.document(Settings(position=position, settings=[_shape(wanted, now)]))
        else:
            line(change)


def _in_force(reading: Reading, out: Printer, wanted: tuple[Setting, ...]) -> list[SettingRow]:
    """The values; printed already where JSON is asked for."""
    with reading.read() as tx:
        found, position = read_model.in_force(tx), tx.head().position
    rows = [(one, found.get(one.key, one.default)) for one in wanted]
    if out.form == "json":
        out.document(Settings(position=position, settings=[_shape(*row) for row in rows]))
    return rows


def _shape(one: Setting, value: SettingValue) -> SettingShape:
    return SettingShape(
        key=one.key, value=one.show(value), default=one.show(one.default), help=one.help
    )

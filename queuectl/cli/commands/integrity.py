"""`replay` and `verify`: rebuild or check the views, and check the hash chain of the log."""

from collections.abc import Iterator
from typing import Any

import click

from eventstore.chain import GENESIS
from eventstore.errors import Missing, missing_head
from eventstore.store import Head, Store
from eventstore.verify import Verdict
from projections.rebuild import Difference

from ... import exit_codes
from ...core.snapshot import Reading
from ...outputs.check import OutputProblem, Where
from ...text.numbers import plural
from ..ui import options
from ..ui.heads import head_from
from ..ui.invocation import with_named_db
from ..ui.json_answers import DifferenceShape, Replayed, Verified
from ..ui.output_problems import problem_lines
from ..ui.printer import Printer, line
from ..ui.progress import ProgressDisplay

DIFFERENCES_SHOWN = 20
"""The maximum number of differences printed; JSON has all of them."""


@click.command("replay", epilog=options.examples("queuectl replay", "queuectl replay --check"))
@click.option("--check", is_flag=True, help="Only compare; exit 5 if something differs.")
@options.printer
@options.reading
def replay_command(reading: Reading, out: Printer, check: bool) -> int:
    """Rebuild the views from the log, or only compare them."""
    if reading.store is None:
        raise Missing(reading.location.name)
    with ProgressDisplay("replaying") as progress:
        if not check:
            from ...core.replay import replay

            with options.open_queue() as queue:
                position = replay(queue.store, progress.show)
            return _replayed(out, position, [], check)
        from projections.rebuild import compare

        differences = compare(reading.store, progress.show)
    return _replayed(out, reading.store.head().position, differences, check)


def _replayed(out: Printer, position: int, differences: list[Difference], check: bool) -> int:
    """Print the result and return the exit code."""
    if out.form == "json":
        shapes = [_shape(difference) for difference in differences]
        out.document(Replayed(position=position, differences=shapes))
    elif differences:
        for difference in differences[:DIFFERENCES_SHOWN]:
            line(_described(difference))
        if len(differences) > DIFFERENCES_SHOWN:
            line(f"... and {len(differences) - DIFFERENCES_SHOWN:,} more")
        repair = with_named_db("run queuectl replay to rebuild the views")
        line(f"{plural(len(differences), 'row')} of the views differ from the log; {repair}")
    else:
        done = "views match the log" if check else "views rebuilt"
        line(f"ok: {done}, {plural(position, 'event')}")
    return exit_codes.INTEGRITY if differences else exit_codes.DONE


def _described(difference: Difference) -> str:
    table, key = difference.table, ", ".join(map(str, difference.key))
    live, rebuilt = difference.live, difference.rebuilt
    if not difference.key and rebuilt and live is None:
        return f"{table}: {rebuilt[0]} is missing"
    if live is None:
        return f"{table} {key}: missing"
    if rebuilt is None:
        return f"{table} {key}: should not be there"
    pairs = zip(live, rebuilt, strict=True)
    return f"{table} {key}: " + ", ".join(f"{a!r} is {b!r}" for a, b in pairs if a != b)


def _shape(difference: Difference) -> DifferenceShape:
    def texts(row: tuple[Any, ...] | None) -> list[str] | None:
        return None if row is None else [str(value) for value in row]

    return DifferenceShape(
        table=difference.table,
        key=texts(difference.key) or [],
        live=texts(difference.live),
        rebuilt=texts(difference.rebuilt),
    )


@click.command(
    "verify",
    epilog=options.examples(
        "queuectl verify --outputs",
        f"queuectl verify --expect 0:{GENESIS.hex()}",
    ),
)
@click.option(
    "--expect",
    metavar="P:HASH",
    help="Check against a head saved earlier (from 'queuectl status'); @FILE reads it.",
)
@click.option("--outputs", is_flag=True, help="Check the long outputs in files, too.")
@options.printer
@options.reading
def verify_command(reading: Reading, out: Printer, expect: str | None, outputs: bool) -> int:
    """Verify the log, and outputs against the log; exit 5 if any was changed."""
    if reading.store is None:  # a missing file must not count as verified
        raise Missing(reading.location.name)
    verdict = _verdict(reading.store, None if expect is None else head_from(expect))
    output_problems = [] if verdict.broken else _outputs(reading.store, outputs)
    problems = [*_problems(verdict), *(problem.words for problem in output_problems)]
    if out.form == "json":
        out.document(_verified(verdict, problems))
    else:
        for text in (*_problems(verdict), *problem_lines(output_problems)):
            line(text)
        if not problems:
            head = verdict.head
            line(f"ok: {plural(verdict.records, 'event')}, head {head.position}:{head.hash}")
    return exit_codes.INTEGRITY if problems else exit_codes.DONE


def _verdict(store: Store, expected: Head | None) -> Verdict:
    from eventstore.verify import verify

    with ProgressDisplay("verifying") as progress, store.read_log() as tx:
        return verify(tx, expected, progress.show)


def _outputs(store: Store, in_files: bool) -> list[OutputProblem]:
    from ...outputs.check import check_outputs

    with ProgressDisplay("verifying outputs") as progress, store.read_log() as tx:
        where: Where = "rows and files" if in_files else "rows"
        return list(check_outputs(tx, store.pieces, where, progress.show, store.has_all))


def _problems(verdict: Verdict) -> Iterator[str]:
    if verdict.broken:
        yield f"position {verdict.broken.position}: {verdict.broken.what}"
    for trigger in verdict.missing_guards:
        yield f"the trigger {trigger} was removed or changed: someone has made the log editable"
    for right in verdict.excess_rights:
        yield f"{right} the table events, without being its owner; revoke that"
    if verdict.contradicts:
        assert verdict.expected is not None
        yield _contradiction(verdict, verdict.expected)


def _contradiction(verdict: Verdict, expected: Head) -> str:
    return missing_head(expected.position, verdict.head.position, verdict.actual_hash)


def _verified(verdict: Verdict, problems: list[str]) -> Verified:
    return Verified(
        position=verdict.head.position,
        sound=not problems,
        head_hash=verdict.head.hash,
        broken_at=verdict.broken.position if verdict.broken else None,
        problems=problems,
    )

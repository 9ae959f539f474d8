"""Connections are cut inside COMMIT: the program finds out whether the commit is stored."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from eventstore.postgres.address import address_from
from eventstore.postgres.creating import create
from eventstore.postgres.log import HASH_AT, PostgresLog
from tests.faults.cutting import CuttingProxy
from tests.postgres import Server, running

from .proof import Tally
from .server_writers import append_and_ask


class LooksWithoutTheLock(PostgresLog):
    """The control: it looks for a commit that may be on its way."""

    def _look(self, position: int) -> str | None:
        sql = HASH_AT.format(schema=self._schema).encode()
        rows = self._connection.execute(sql, {"position": position}).fetchall()
        return str(rows[0][0]) if rows else None


def cuts(installation: str, amount: int, seed: int, kind: type[PostgresLog] = PostgresLog) -> Tally:
    """Cut so many connections. kind: how a lost answer is settled."""
    with running(installation) as server:
        return cuts_of(server, amount, seed, kind)


def cuts_of(server: Server, amount: int, seed: int, kind: type[PostgresLog]) -> Tally:
    """Cut so many connections to this server; a finding is a wrong answer."""
    url = server.url(f"{kind.__name__}-cut-{seed}")
    create(address_from(url))
    answers = {"yes": 0, "no": 0}
    findings = []
    with (
        behind_a_proxy(server, url, kind, seed) as (proxy, log),
        closing(PostgresLog(address_from(url))) as direct,
    ):
        for number in range(amount):
            where = proxy.cut_next()
            answer, (position, hash_) = append_and_ask(log, f"stream-{number}")
            answers[answer] += 1
            proxy.wait_for_late_commits()
            with direct.write("truth") as tx:  # the lock: the cut session has ended
                truth = "yes" if tx.hash_at(position) == hash_.hex() else "no"
            if answer != truth:
                findings.append(f"cut {where} COMMIT: {answer}, in truth {truth}")
    return Tally(amount, findings, f"{answers['yes']:,} stored, {answers['no']:,} not")


@contextmanager
def behind_a_proxy(
    server: Server, url: str, kind: type[PostgresLog] = PostgresLog, seed: int = 1
) -> Iterator[tuple[CuttingProxy, PostgresLog]]:
    """Return a proxy, and a log that is reached through it."""
    with (
        TemporaryDirectory(prefix="queuectl-cut-") as folder,
        closing(CuttingProxy(Path(folder), server.folder, Random(seed))) as proxy,
        closing(kind(address_from(url.replace(str(server.folder), folder)))) as log,
    ):
        yield proxy, log

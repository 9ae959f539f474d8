"""The leases of the workers: a row for each, with a random number that it replaces at each beat.

No wait for the server is longer than ANSWER_S: it may be silent without closing the connection.
See docs/decisions/0019.
"""

import json
import os

import psycopg

from ..errors import Away, Gone
from .address import Address
from .connecting import connect_to_server
from .failures import translated, translation_of
from .listening import Line, NoAnswer, Refused
from .schema import NOW_US

ANSWER_S = 5
"""How long to wait for the connection, and for an answer."""

# A beat that was answered is not lost in a crash of the server, whatever its default is.
DURABLE = "SELECT set_config('synchronous_commit', 'on', true)"

BEGIN = f"""
    {DURABLE};
    INSERT INTO {{schema}}.leases VALUES ({{worker}}, {{nonce}}, {NOW_US})
    ON CONFLICT (worker) DO UPDATE SET nonce = excluded.nonce, beat = excluded.beat"""

# By the primary key. No other column has an index, so the new version stays in the same page.
BEAT = f"""
    {DURABLE};
    UPDATE {{schema}}.leases SET nonce = {{nonce}}, beat = {NOW_US} WHERE worker = {{worker}};
    SELECT json_object_agg(worker, nonce) FROM {{schema}}.leases"""

END = "DELETE FROM {schema}.leases WHERE worker = {worker}"

KEY = "SELECT id FROM {schema}.meta"


class PostgresLives:
    """The leases, by a connection of their own. It is made at the first call, and when it is lost.

    It belongs to one thread at a time.
    """

    def __init__(self, address: Address, key: str) -> None:
        """key: the id of the queue. A queue with another id is refused."""
        self._address, self._key = address, key
        self._line: Line | None = None
        self._never, self._never_written = os.pipe()
        """Nobody writes to this pipe: no thread gives up a call."""

    def begin(self, worker_id: str, nonce: int) -> None:
        """Begin the lease of a worker. Raises Away, Gone or NotAllowed."""
        self._run(BEGIN, worker_id, nonce)

    def beat(self, worker_id: str, nonce: int) -> dict[str, int] | None:
        """Show that a worker lives, and return the nonces of all workers.

        nonce: a random number, in place of the last one. None if another worker has taken it over.
        Raises Away, Gone or NotAllowed.
        """
        answer = self._run(BEAT, worker_id, nonce)
        nonces: dict[str, int] = json.loads(answer) if answer else {}
        return nonces if worker_id in nonces else None

    def end(self, worker_id: str) -> None:
        """End the lease of a worker that has ended. Raises Away."""
        self._run(END, worker_id, 0)

    def close(self) -> None:
        """Close the connection."""
        self._drop()
        os.close(self._never)
        os.close(self._never_written)

    def _run(self, sql: str, worker_id: str, nonce: int) -> str | None:
        """Run statements in one transaction. Return the first value of the last one."""
        worker = "'" + worker_id.replace("'", "''") + "'"
        try:
            with translated(self._address.label):
                return self._ask(sql, worker=worker, nonce=str(nonce))
        except NoAnswer:
            self._drop()
            raise Away(self._address.label, f"none within {ANSWER_S} s") from None
        except Refused as refusal:
            self._drop()
            what = str(refusal).partition("\n")[0].removeprefix("ERROR:").strip()
            raise translation_of(self._address.label, refusal.state, what) from None
        except BaseException:
            self._drop()
            raise

    def _ask(self, sql: str, **values: str) -> str | None:
        if self._line is None:
            self._line = self._connected()
        return self._line.ask(sql.format(schema=self._address.quoted_schema, **values), ANSWER_S)

    def _connected(self) -> Line:
        connection = connect_to_server(self._address, connect_timeout_s=ANSWER_S)
        try:
            line = Line(connection, self._never)
            key = line.ask(KEY.format(schema=self._address.quoted_schema), ANSWER_S)
        except (psycopg.Error, NoAnswer, Refused):
            connection.close()
            raise
        if key != self._key:
            connection.close()
            raise Gone(self._address.label)
        return line

    def _drop(self) -> None:
        """Close the connection: the next call makes a new one."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

"""A connection that listens: waiting for notifications, and queries that can be given up."""

import select
import time

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus

from .connecting import Connection

LAST_WORDS_S = 1.0
"""How long to wait for the answer to the last query of a connection."""


class NoAnswer(Exception):
    """The server did not answer in time: the connection may be half-open."""


class Closed(Exception):
    """The listener was closed."""


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, state: str, message: str) -> None:
        super().__init__(message)
        self.state = state
        """Its SQLSTATE."""


class Line:
    """A listening connection. It belongs to one thread.

    stop: a descriptor that becomes readable or is closed at its other end when the thread has to
    end; then each method raises Closed. All methods raise psycopg.OperationalError if the
    connection is lost.
    """

    def __init__(self, connection: Connection, stop: int) -> None:
        self._connection, self._pgconn, self._stop = connection, connection.pgconn, stop
        self._heard: set[str] = set()
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._poll.register(stop, select.POLLIN)

    def is_direct(self, timeout_s: float) -> bool:
        """Return False if the process that answers is not the one that was connected to."""
        answer = self.ask("SELECT pg_backend_pid()", timeout_s)
        return answer == str(self._pgconn.backend_pid)

    def ask(self, sql: str, timeout_s: float) -> str | None:
        """Run statements, together in one transaction. Return the first value of the last one.

        Raises NoAnswer or Refused.
        """
        self._pgconn.send_query(sql.encode())
        self._pgconn.flush()
        deadline_s = time.monotonic() + timeout_s
        value: bytes | None = None
        refusal: Refused | None = None
        while True:
            while not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is None:
                    if refusal is not None:
                        raise refusal
                    return None if value is None else value.decode()
                if result.status == ExecStatus.FATAL_ERROR:
                    state = result.error_field(DiagnosticField.SQLSTATE) or b""
                    refusal = Refused(state.decode(), result.error_message.decode(errors="replace"))
                value = result.get_value(0, 0) if result.ntuples else None
            if not self._take_in(deadline_s):
                raise NoAnswer()

    def hear(self, until_s: float) -> set[str]:
        """Return the channels with notifications that came since the last call.

        Wait for the first one until this time (monotonic, seconds).
        """
        while not self._heard and self._take_in(until_s):
            pass
        heard, self._heard = self._heard, set()
        return heard

    def last_words(self, sql: str) -> None:
        """Try to run a statement before the connection is closed, even if the thread has to end."""
        self._poll.unregister(self._stop)
        try:
            if self._pgconn.status == ConnStatus.OK:
                self.ask(sql, LAST_WORDS_S)
        except (psycopg.Error, Refused, NoAnswer):
            pass

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _take_in(self, until_s: float) -> bool:
        """Wait for the server until this time, and read what it has sent; return False if nothing.

        Raises Closed if the thread has to end.
        """
        wait_s = max(0.0, until_s - time.monotonic())
        ready = self._poll.poll(wait_s * 1000 + 1)
        if any(descriptor == self._stop for descriptor, _ in ready):
            raise Closed()
        if not ready:
            return False
        self._pgconn.consume_input()
        while notification := self._pgconn.notifies():
            self._heard.add(notification.relname.decode())
        return True

"""The thread of a bell on a server: it listens on a connection of its own, and rings.

A connection may hear nothing without any error: behind a pooler that gives each transaction to
another process of the server, or half-open. So the thread sends probes to itself. While a
connection has heard none, it also reads the head of the log regularly. See docs/decisions/0020.
"""

import os
import secrets
import select
import time
from collections.abc import Callable, Iterable
from math import inf

import psycopg

from ..errors import Gone, StoreError
from .address import Address
from .connecting import connect, connect_to_server
from .following import FOLLOW_EVERY_S, LogFollower
from .listening import Closed, Line, NoAnswer, Refused
from .notifying import Channel, channel_name

PROBE_EVERY_S = 30.0
"""The pause between two probes."""
ANSWER_S = 5.0
"""How long to wait for a probe or another answer; then the connection is made again."""

LOOK_EVERY_S = 0.5
"""How often the head of the log is read on a connection that hears nothing."""

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""The pauses between tries to connect; the last one is repeated."""

MAY_NOT_FOLLOW, IS_LOCKED = ("42501", "25006"), "55P03"
"""SQLSTATEs: no privilege, a standby server; and a writer held the lock for too long."""

UNREACHED = 3
"""The failures in a row after which it is reported that the direct address cannot be used."""

DEAF = (
    "the connection to {label} hears nothing (a pooler?); looking every"
    f" {LOOK_EVERY_S:g} s. QUEUECTL_DB_DIRECT may name an address without the pooler"
)

UNREACHABLE = (
    "no notifications from QUEUECTL_DB_DIRECT ({what}); new events are noticed within 30 s"
)

LISTENS = "queuectl doorbell "
"""The application name of a bell's connection begins with this; then comes `<pid>@<host>`."""

LONGEST_NAME_BYTES = 63
"""PostgreSQL cuts longer names of applications."""

# By the primary key.
HEAD = "SELECT max(position) FROM {schema}.events"

Say = Callable[[str], None]


class Listener:
    """The thread of a bell. All of it but the constructor runs on that thread."""

    def __init__(
        self, address: Address, key: str, channel: Channel, say: Say, bell: int, stopped: int
    ) -> None:
        """bell: descriptor to write to. stopped: readable when the thread has to end."""
        self._address, self._key, self._say = address, key, say
        self._bell, self._stopped = bell, stopped
        self._channels: list[Channel] = ["work"] if channel == "work" else ["work", "log"]
        self._probes = f"queuectl_probe_{secrets.token_hex(8)}"
        self._follower = LogFollower(key, address.quoted_schema) if channel == "log" else None
        self._unheard = 0
        """Number of probes in a row that were not heard."""
        self._said = False
        self._failures = 0
        """Number of failures to connect in a row."""
        self._head: str | None = None
        """The position of the last record, when it was last read."""
        self._hears = self._follows = False
        """Whether this connection has heard a probe, and writers know that the log is followed."""
        self._follow_at_s = self._look_at_s = 0.0
        """When the row of the follower is written next, and the head is read next."""

    def run(self) -> None:
        """Connect and listen, again and again, until the bell is closed."""
        try:
            while True:
                try:
                    self._connect_and_listen()
                except (StoreError, psycopg.Error, OSError, NoAnswer, Refused) as error:
                    self._note_failure(error)
                self._pause()
        except Closed:
            pass

    def _note_failure(self, error: Exception) -> None:
        """Report a direct address that cannot be used; the listener reports all other failures."""
        if isinstance(error, Gone):
            self._ring()
        if os.environ.get("QUEUECTL_DB_DIRECT") and self._failures == UNREACHED:
            self._say_once(UNREACHABLE, str(error))

    def _pause(self) -> None:
        """Wait before the next try to connect. Raises Closed."""
        pause_s = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
        self._failures += 1
        if select.select([self._stopped], [], [], pause_s)[0]:
            raise Closed()

    def _connect_and_listen(self) -> None:
        connected = connect(self._address, application_name(os.getpid()))
        try:
            if connected.queue_id != self._key:
                raise Gone(self._address.label)
            line = Line(connected.connection, self._stopped)
            try:
                self._listen(line)
            finally:
                if self._follower:
                    line.last_words(self._follower.end())
        finally:
            connected.connection.close()

    def _listen(self, line: Line) -> None:
        """Ring for all that is heard, until the server does not answer or the bell is closed."""
        names = [self._probes, *(channel_name(self._key, channel) for channel in self._channels)]
        can_listen = self._began_to_listen(line, names)
        self._hears = self._follows = False
        self._follow_at_s = self._look_at_s = 0.0
        self._ring()  # for all that was appended before
        self._look_and_follow(line)
        self._failures = 0
        is_direct = line.is_direct(ANSWER_S)
        while True:
            if can_listen:
                self._probe(line, is_direct)
                self._judge(line)
            until_s = time.monotonic() + PROBE_EVERY_S
            while time.monotonic() < until_s:
                self._step(line, until_s)

    def _began_to_listen(self, line: Line, channels: Iterable[str]) -> bool:
        """Return False if the server refuses to: it is a standby, or a pooler refuses LISTEN."""
        try:
            line.ask("; ".join(f"LISTEN {name}" for name in channels), ANSWER_S)
        except Refused:
            self._say_once(DEAF)
            return False
        return True

    def _probe(self, line: Line, is_direct: bool) -> None:
        """Send a notification to this connection.

        A pooler may run it in the process that LISTENs, and pass it on only because that process
        answers at the same time. So a probe through a pooler is sent by another connection.
        """
        probe = f"NOTIFY {self._probes}"
        if is_direct:
            line.ask(probe, ANSWER_S)
            return
        other = connect_to_server(self._address)
        try:
            other.execute(probe.encode())
        finally:
            other.close()
        # With the answer to a query, too, a pooler passes on what it would otherwise drop.
        self._look_at_s = time.monotonic() + LOOK_EVERY_S

    def _judge(self, line: Line) -> None:
        """Wait for the probe.

        At the first one that is not heard, raise NoAnswer; at the second one, report it.
        """
        until_s = time.monotonic() + ANSWER_S
        while time.monotonic() < until_s:
            if self._step(line, until_s):
                self._unheard = 0
                return
        self._hears = False
        self._unheard += 1
        if self._unheard == 1:
            raise NoAnswer()
        self._say_once(DEAF)

    def _say_once(self, text: str, what: str = "") -> None:
        if not self._said:
            self._said = True
            self._say(text.format(label=self._address.label, what=what))

    def _step(self, line: Line, until_s: float) -> bool:
        """Wait for notifications, at most until this time; ring. Return whether a probe was heard.

        Return earlier if the head has to be read, or the row of a follower to be renewed.
        """
        self._look_and_follow(line)
        follow_at_s = self._follow_at_s if self._follower else until_s
        look_at_s = self._look_at_s if self._is_looking else until_s
        heard = line.hear(min(until_s, follow_at_s, look_at_s))
        if heard - {self._probes}:
            self._ring()
        self._hears = self._hears or self._probes in heard
        return self._probes in heard

    @property
    def _is_looking(self) -> bool:
        """Whether the head has to be read: no probe was heard, or writers announce too little."""
        return not self._hears or (self._follower is not None and not self._follows)

    def _look_and_follow(self, line: Line) -> None:
        """Renew the row of a follower, and read the head, if their times have come."""
        now_s = time.monotonic()
        if self._follower and now_s >= self._follow_at_s:
            self._follow_at_s = now_s + FOLLOW_EVERY_S
            self._follow(line, self._follower)
        if self._is_looking and now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            self._look(line)

    def _follow(self, line: Line, follower: LogFollower) -> None:
        """Record that the log is followed. Without the right to do so, the bell reads the head."""
        try:
            # A machine that has slept renews too late: commits were not announced in between.
            if not self._follows or line.ask(follower.renew(), ANSWER_S) is None:
                self._follows = False
                line.ask(follower.begin(), FOLLOW_EVERY_S)
                self._ring()
        except Refused as error:
            if error.state in MAY_NOT_FOLLOW:
                self._follow_at_s = inf
            elif error.state != IS_LOCKED:
                raise
        else:
            self._follows = True

    def _look(self, line: Line) -> None:
        """Ring if the head of the log has changed since the last look."""
        head = line.ask(HEAD.format(schema=self._address.quoted_schema), ANSWER_S)
        if head != self._head:
            self._head = head
            self._ring()

    def _ring(self) -> None:
        try:
            os.write(self._bell, b"!")
        except OSError:  # full: it is ringing already; or the reader has closed it
            pass


def application_name(pid: int) -> str:
    """Return the name of the connection of a bell, as the server shows it."""
    name = f"{LISTENS}{pid}@{os.uname().nodename}"
    return name.encode("ascii", "replace")[:LONGEST_NAME_BYTES].decode()

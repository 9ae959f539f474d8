"""The thread of a bell on a server: it listens on a connection of its own, and rings.

A connection may hear nothing without any error: behind a pooler that gives each transaction to
another process of the server, or half-open. So the thread sends probes to itself. While a
connection has heard none, it also reads the head of the log regularly. So it does at the main
address while the direct one cannot be used. See docs/decisions/0020.
"""

import os
import secrets
import select
import time
from collections.abc import Callable, Iterable
from math import inf

import psycopg

from ..errors import Away, ForeignFile, Gone, StoreError
from .address import Address, direct
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

DIRECT_WITHIN_S = 2
"""How long to try to connect to the direct address; no new event is noticed during that time."""

DEAF = (
    "the connection to {label} hears nothing (a pooler?); looking every"
    f" {LOOK_EVERY_S:g} s. QUEUECTL_DB_DIRECT may name an address without the pooler"
)

DEAF_DIRECT = (
    f"the connection to {{label}} hears nothing (another pooler?); looking every {LOOK_EVERY_S:g} s"
)

UNUSABLE = f"QUEUECTL_DB_DIRECT cannot be used ({{what}}); looking every {LOOK_EVERY_S:g} s"

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
        """address: of the queue; the one in `QUEUECTL_DB_DIRECT` is preferred.

        bell: descriptor to write to. stopped: readable when the thread has to end. Raises
        InvalidAddress.
        """
        self._main, self._key, self._say = address, key, say
        self._address = direct(address)
        """The address to listen at."""
        self._unused = 0
        """Number of times in a row that the direct address could not be used."""
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
                error = self._try(self._address, self._listen)
                if error is not None and self._address != self._main:
                    self._look_instead(error)
                self._pause()
        except Closed:
            pass

    def _try(self, address: Address, use: Callable[[Line], None]) -> Exception | None:
        """Use a connection until it fails. Return the failure; None if `use` has returned."""
        try:
            self._connect(address, use)
        except (StoreError, psycopg.Error, OSError, NoAnswer, Refused) as error:
            if isinstance(error, Gone):
                self._ring()
            return error
        return None

    def _look_instead(self, error: Exception) -> None:
        """Read the head at the main address for a while. error: of the direct one.

        It is reported if it is not that of a server that is just starting again.
        """
        self._unused += 1
        is_brief = self._unused == 1 and not _is_lasting(error)
        until_s = time.monotonic() + (ANSWER_S if is_brief else PROBE_EVERY_S)

        def look(line: Line) -> None:
            if not is_brief:
                self._say_once(UNUSABLE, str(error).partition("; ")[0] or "no answer")
            self._begin()
            while time.monotonic() < until_s:
                self._step(line, until_s)
            self._failures = 0

        self._try(self._main, look)

    def _pause(self) -> None:
        """Wait before the next try to connect. Raises Closed."""
        pause_s = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
        self._failures += 1
        if select.select([self._stopped], [], [], pause_s)[0]:
            raise Closed()

    def _connect(self, address: Address, use: Callable[[Line], None]) -> None:
        impatient = _impatient(address) if address != self._main else address
        connected = connect(impatient, application_name(os.getpid()))
        try:
            if connected.queue_id != self._key:
                raise self._other_queue(address)
            line = Line(connected.connection, self._stopped)
            try:
                use(line)
            finally:
                if self._follower:
                    line.last_words(self._follower.end())
        finally:
            connected.connection.close()

    def _other_queue(self, address: Address) -> StoreError:
        if address == self._main:
            return Gone(address.label)
        return ForeignFile(address.label, f"is another queue than {self._main.label}", "correct it")

    def _listen(self, line: Line) -> None:
        """Ring for all that is heard, until the server does not answer or the bell is closed."""
        names = [self._probes, *(channel_name(self._key, channel) for channel in self._channels)]
        can_listen = self._began_to_listen(line, names)
        self._begin()
        self._look_and_follow(line)
        self._failures = self._unused = 0
        is_direct = line.is_direct(ANSWER_S)
        while True:
            if can_listen:
                self._probe(line, is_direct)
                self._judge(line)
            until_s = time.monotonic() + PROBE_EVERY_S
            while time.monotonic() < until_s:
                self._step(line, until_s)

    def _begin(self) -> None:
        """Begin to use a connection: ring for all that was appended before."""
        self._hears = self._follows = False
        self._follow_at_s = self._look_at_s = 0.0
        self._ring()

    def _began_to_listen(self, line: Line, channels: Iterable[str]) -> bool:
        """Return False if the server refuses to: it is a standby, or a pooler refuses LISTEN."""
        try:
            line.ask("; ".join(f"LISTEN {name}" for name in channels), ANSWER_S)
        except Refused:
            self._say_once(self._deaf)
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
        self._say_once(self._deaf)

    @property
    def _deaf(self) -> str:
        return DEAF if self._address == self._main else DEAF_DIRECT

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


def _impatient(address: Address) -> Address:
    """Return the address with a shorter time to connect, if it has none of its own."""
    if "connect_timeout=" in address.url:
        return address
    joint = "&" if "?" in address.url else "?"
    return address._replace(url=f"{address.url}{joint}connect_timeout={DIRECT_WITHIN_S}")


def _is_lasting(error: Exception) -> bool:
    """Return whether the address is wrong, so that waiting for the server does not help."""
    return isinstance(error, StoreError) and type(error) is not Away


def application_name(pid: int) -> str:
    """Return the name of the connection of a bell, as the server shows it."""
    name = f"{LISTENS}{pid}@{os.uname().nodename}"
    return name.encode("ascii", "replace")[:LONGEST_NAME_BYTES].decode()

"""Judge the facts about a server. Each function returns a Finding, and all are pure."""

from collections.abc import Sequence

from eventstore.server_facts import Durability, Link, Rights, Upkeep

from ..text.numbers import plural
from .checks import Finding

END_OF_LIFE = {
    14: "2026-11-12",
    15: "2027-11-11",
    16: "2028-11-09",
    17: "2029-11-08",
    18: "2030-11-14",
}
"""The date of the last release of each version.

Source: https://www.postgresql.org/support/versioning/
"""

ROUND_TRIP_MS = 20.0
"""A longer median is noted: each transaction needs three."""

CLOCK_S = 5.0
"""A larger difference of the clocks is noted."""

HELD_BACK = 100_000
"""Vacuum that is held back by more transactions is a problem: the search for the next job then
reads their old rows.
"""

DEAD_ROWS = 50_000
"""More old versions of jobs than this, and than a fifth of the jobs, are noted."""

TRANSACTION_AGE = 1_000_000_000
"""PostgreSQL accepts no writes at 2,000,000,000."""

SESSIONS = 0.8
"""A larger part of the sessions in use is noted."""

NOTIFICATIONS = 0.1
"""A larger used part of the queue of notifications is noted."""


def version(major: int, words: str, today: str) -> Finding:
    """Check that the server's version still gets fixes. today: the server's date, ISO 8601."""
    ends = END_OF_LIFE.get(major)
    if ends is not None and today > ends:
        todo = "upgrade the server to a newer version"
        return Finding("version", f"{words}; it has had no fixes since {ends}", todo, note=True)
    return Finding("version", f"{words}, UTF8")


def durability(facts: Durability) -> Finding:
    """Check that what the server has confirmed survives its crash."""
    off = [
        name
        for name, is_on in (
            ("fsync", facts.fsync),
            ("full_page_writes", facts.full_page_writes),
        )
        if not is_on
    ]
    if off:
        words = f"{' and '.join(off)} off: a crash of the server may damage everything"
        return Finding("durability", words, f"set {off[0]} = on in postgresql.conf, and reload")
    return Finding("durability", "fsync and full_page_writes on")


def replication(facts: Durability) -> Finding:
    """Check what a failover may lose."""
    connected = plural(facts.standbys, "standby", "standbys")
    if facts.is_standby:
        todo = "connect to the primary: name all hosts, and add target_session_attrs=read-write"
        return Finding("replication", "this server is a standby: nothing can be recorded", todo)
    if facts.standby_names:
        if not facts.waited_for:
            words = f"commits wait for a standby ({facts.standby_names}), and none is seen"
            todo = "start the standby; without the right to read statistics, ask the administrator"
            return Finding("replication", words, todo, note=bool(facts.standbys))
        return Finding(
            "replication",
            f"synchronous, {connected}: a failover to the most advanced loses nothing",
        )
    if facts.standbys:
        words = f"asynchronous, {connected}: a failover may lose the last acknowledged events"
        todo = "set synchronous_standby_names on the server, or accept the loss"
        return Finding("replication", words, todo, note=True)
    return Finding("replication", "no standby: if the server's disk is lost, only backups are left")


def slots(names: Sequence[str]) -> Finding:
    """Check for replication slots that nobody uses."""
    if names:
        words = f"unused, and the server keeps all WAL for them: {', '.join(names)}"
        return Finding("slots", words, "start their standby, or drop them", note=True)
    return Finding("slots", "no unused replication slots")


def rights(facts: Rights) -> Finding:
    """Check that the user of the connection has no more rights than it needs."""
    if facts.is_superuser or facts.is_owner:
        what = "a superuser" if facts.is_superuser else "the owner"
        words = f"{facts.user} is {what} and can change the log"
        todo = "connect as a member of a role with fewer rights: queuectl init --roles"
        return Finding("rights", words, todo, note=True)
    if not facts.appends:
        return Finding("rights", f"{facts.user} may read")
    if not facts.stores_outputs:
        return Finding("rights", f"{facts.user} may read and enqueue, but not run jobs")
    return Finding("rights", f"{facts.user} may read, enqueue and run jobs")


def guards(missing: Sequence[str], excess: Sequence[str]) -> Finding:
    """Check what protects the log. missing, excess: as `Reader` returns them."""
    if missing:
        words = f"{', '.join(missing)} missing or changed: someone has made the log editable"
        return Finding("guards", words, "queuectl verify; find out who did it, and restore")
    if excess:
        words = f"{'; '.join(excess)} the table events, without being its owner"
        return Finding("guards", words, "revoke that from the role")
    return Finding("guards", "only the owner and superusers can change the log")


def encryption(link: Link) -> Finding:
    """Check that nobody on the network can read the connection, or answer in the server's place."""
    if not link.host:
        return Finding("encryption", "a socket of this machine")
    if not link.is_remote:
        return Finding("encryption", f"{link.host} is this machine")
    if not link.is_encrypted:
        password = ", after a password" if link.used_password else ""
        words = f"none: all jobs pass the network in plain text{password}"
        return Finding(
            "encryption", words, "enable ssl on the server; then add sslmode=verify-full"
        )
    if link.sslmode != "verify-full":
        words = f"encrypted, but sslmode={link.sslmode} does not check who the server is"
        todo = "add sslmode=verify-full to the address (and sslrootcert=system, or its file)"
        return Finding("encryption", words, todo, note=True)
    return Finding("encryption", "encrypted, and the server's certificate is checked")


def round_trip(link: Link) -> Finding:
    """Check how long an answer takes."""
    words = f"{link.round_trip_ms:.3g} ms"
    todo = "each enqueue and each result takes three of them: run workers near the server"
    slow = link.round_trip_ms > ROUND_TRIP_MS
    return Finding("round trip", words, todo if slow else None, note=True)


def clock(link: Link) -> Finding:
    """Check the difference between the clocks."""
    ahead_s = link.clock_ahead_s
    if abs(ahead_s) <= CLOCK_S:
        return Finding("clock", "the server's clock agrees with this machine's")
    words = f"the server's clock is {abs(ahead_s):,.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    todo = "all times are the server's; set both clocks by NTP"
    return Finding("clock", words, todo, note=True)


def notifications(link: Link, upkeep: Upkeep) -> Finding:
    """Check that workers hear of new jobs at once."""
    if link.direct_error:
        words = f"{link.direct_error}: workers look every 0.5 s"
        return Finding("notifications", words, "correct QUEUECTL_DB_DIRECT", note=True)
    if not link.hears and link.has_direct:
        words = "QUEUECTL_DB_DIRECT hears none (another pooler?): workers look every 0.5 s"
        todo = "name the server itself by QUEUECTL_DB_DIRECT"
        return Finding("notifications", words, todo, note=True)
    if not link.hears:
        why = "a pooler?" if link.is_direct else "a pooler is in between"
        words = f"this connection hears none ({why}): workers look every 0.5 s"
        todo = "name an address without the pooler by QUEUECTL_DB_DIRECT"
        return Finding("notifications", words, todo, note=True)
    if upkeep.notifications_full > NOTIFICATIONS:
        words = f"the server's queue of them is {upkeep.notifications_full:.0%} full"
        todo = "a session that listens is stuck in a transaction; find it in pg_stat_activity"
        return Finding("notifications", words, todo, note=True)
    if upkeep.waiting_to_notify:
        words = f"{plural(upkeep.waiting_to_notify, 'session')} wait to send theirs"
        todo = "another program of this server notifies often; give the queue its own server"
        return Finding("notifications", words, todo, note=True)
    return Finding("notifications", "heard at once")


def pooler(link: Link) -> Finding:
    """Report whether a pooler is between this machine and the server."""
    return Finding("pooler", "none" if link.is_direct else "in between")


def vacuum(upkeep: Upkeep) -> Finding:
    """Check that old versions of rows can be removed, and are."""
    if off := _vacuum_off(upkeep):
        words, todo = off
        return Finding("vacuum", f"{words}: the search for jobs gets slower", todo)
    if upkeep.held_back > HELD_BACK:
        words = f"{upkeep.held_by} holds it back by {upkeep.held_back:,} transactions"
        todo = "end it: until then, the search for the next job gets slower with each job"
        return Finding("vacuum", words, todo)
    dead = upkeep.dead_rows
    if dead > DEAD_ROWS and dead > upkeep.live_rows / 5:
        words = f"{dead:,} old versions of {plural(upkeep.live_rows, 'job')}"
        return Finding("vacuum", words, "VACUUM the table jobs; is autovacuum on?", note=True)
    return Finding("vacuum", f"{plural(dead, 'old row version')} of jobs")


def _vacuum_off(upkeep: Upkeep) -> tuple[str, str] | None:
    """Return why autovacuum does not run, and what to do."""
    for name, is_on in (("autovacuum", upkeep.autovacuum), ("track_counts", upkeep.track_counts)):
        if not is_on:
            return f"{name} is off on the server", f"set {name} = on in postgresql.conf, and reload"
    if not upkeep.jobs_vacuumed:
        todo = "as its owner: ALTER TABLE jobs RESET (autovacuum_enabled)"
        return "autovacuum is off for the table jobs", todo
    return None


def transaction_ids(upkeep: Upkeep) -> Finding:
    """Check that the server is far from running out of transaction ids."""
    age = upkeep.transaction_age
    todo = "the server will stop at 2,000,000,000; run VACUUM (FREEZE), and end old transactions"
    words = f"the oldest is {age:,} transactions old, of at most {TRANSACTION_AGE:,}"
    return Finding("transactions", words, todo if age > TRANSACTION_AGE else None)


def sessions(upkeep: Upkeep) -> Finding:
    """Check for forgotten transactions, and for room for more sessions."""
    words = f"{upkeep.sessions} of {upkeep.sessions_limit}"
    if idle := upkeep.idle_in_transaction:
        todo = "end them, or set idle_in_transaction_session_timeout: they hold back vacuum"
        return Finding("sessions", f"{words}; {idle} idle in a transaction", todo, note=True)
    full = upkeep.sessions > SESSIONS * upkeep.sessions_limit
    todo = "raise max_connections, or use a pooler: a worker needs four"
    unseen = "" if upkeep.sees_all else "; other users' transactions are only seen with pg_monitor"
    return Finding("sessions", f"{words} in use{unseen}", todo if full else None, note=True)


def listeners(workers: int, deaf: Sequence[str]) -> Finding:
    """Check that workers of this machine hear of new jobs. deaf: ids of those that do not."""
    if deaf:
        words = f"not connected to hear of new jobs: {', '.join(deaf)}"
        todo = "it connects again by itself; see what the worker printed"
        return Finding("bells", words, todo, note=True)
    if not workers:
        return Finding("bells", "no running worker of this machine")
    verb = "hears" if workers == 1 else "hear"
    return Finding("bells", f"{plural(workers, 'worker')} {verb} of new jobs at once")

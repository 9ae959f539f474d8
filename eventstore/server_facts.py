"""What a store reports about its server, for `doctor`. The judgement is not here."""

from typing import NamedTuple


class Link(NamedTuple):
    """The connection to the server."""

    host: str
    """Its name or address; empty for a socket of this machine."""
    is_remote: bool
    """False for a socket or a loopback address."""
    is_encrypted: bool
    sslmode: str
    used_password: bool
    is_direct: bool
    """False if another process of the server answers than the one that was connected to."""
    hears: bool
    """Whether a notification from another connection arrived."""
    round_trip_ms: float
    """Median of a few queries."""
    clock_ahead_s: float
    """The time of the server's clock minus that of this machine, UTC, seconds."""
    has_direct: bool = False
    """Whether `QUEUECTL_DB_DIRECT` is set."""
    direct_error: str | None = None
    """Why it cannot be used; None if it can."""


class Durability(NamedTuple):
    """What survives a crash of the server, and the loss of it."""

    fsync: bool
    full_page_writes: bool
    is_standby: bool
    standby_names: str
    """`synchronous_standby_names`; empty if no commit waits for a standby."""
    standbys: int
    """Standbys that are connected."""
    waited_for: int
    """Connected standbys that commits wait for, or may wait for."""
    idle_slots: list[str]
    """Replication slots that nobody uses; the server keeps all WAL for them."""


class Rights(NamedTuple):
    """What the user of the connection may do."""

    user: str
    is_superuser: bool
    is_owner: bool
    """Whether it may act as the owner of the queue."""
    appends: bool
    """Whether it may record events."""
    stores_outputs: bool
    """Whether it may store outputs of jobs and hold leases, as workers must."""


class Upkeep(NamedTuple):
    """The state of vacuum, transactions and sessions."""

    held_back: int
    """The age of the oldest snapshot that vacuum must respect, in transactions."""
    held_by: str
    """Who holds it; empty for nobody."""
    dead_rows: int
    """Old versions of rows in the table of jobs."""
    live_rows: int
    transaction_age: int
    """The age of the database's oldest transaction id."""
    idle_in_transaction: int
    """Sessions that have done nothing for a minute, inside a transaction."""
    sessions: int
    sessions_limit: int
    waiting_to_notify: int
    """Sessions that wait for the lock under which commits with notifications are done."""
    notifications_full: float
    """The used part of the server's queue of notifications, 0 to 1."""
    autovacuum: bool
    """The server's setting."""
    track_counts: bool
    """The server's setting. Autovacuum needs the counts."""
    sees_all: bool
    """Whether the user sees what sessions of other users do."""
    jobs_vacuumed: bool
    """False if autovacuum is off for the table of jobs."""


class ServerFacts(NamedTuple):
    """What a store on a server reports about it."""

    major: int
    """Version of the server: 15."""
    version: str
    """As the server prints it: `15.18 (Debian 15.18-0+deb12u1)`."""
    today: str
    """The server's date: `2026-11-28`."""
    versions: dict[str, str]
    """The versions of the libraries that connect, and of the server."""
    link: Link
    durability: Durability
    upkeep: Upkeep
    rights: Rights | None
    """None if there is no queue, or nothing of it may be read."""
    missing_guards: tuple[str, ...] = ()
    """As `Reader.missing_guards`."""
    excess_rights: tuple[str, ...] = ()
    """As `Reader.excess_rights`."""

"""Check the server of a queue, the connection to it, and what this machine contributes."""

from collections.abc import Iterator

from eventstore.errors import Away, Rejected, StoreError
from eventstore.location import Location, server_facts
from eventstore.server_facts import ServerFacts

from . import checks, machine, server_checks
from .checks import Finding


def facts_of(location: Location) -> ServerFacts | StoreError:
    """Return the facts about the server, or the error of asking for them."""
    try:
        return server_facts(location.place)
    except StoreError as error:
        return error


def check_place(
    location: Location, facts: ServerFacts | StoreError, open_error: StoreError | None
) -> Finding:
    """Check that there is a server, and a queue. open_error: of opening it, if there was one."""
    words = f"{location.name} ({location.reason})"
    error = facts if isinstance(facts, StoreError) else open_error
    if error is None:
        return Finding("server", words)
    problem, _, todo = str(error).partition("; ")
    for place in (f" of {location.name}", f" at {location.name}", f"{location.name}: "):
        problem = problem.replace(place, "")
    if isinstance(error, Away) and not isinstance(error, Rejected):
        todo = "start the server, or correct the address; psql must be able to connect, too"
    return Finding("server", f"{words}: {problem}", todo or "correct the address")


def check_server(facts: ServerFacts) -> Iterator[Finding]:
    """Check the server and the connection."""
    link, upkeep, durability = facts.link, facts.upkeep, facts.durability
    yield server_checks.version(facts.major, f"PostgreSQL {facts.version}", facts.today)
    yield server_checks.durability(durability)
    yield server_checks.replication(durability)
    yield server_checks.slots(durability.idle_slots)
    yield server_checks.encryption(link)
    yield server_checks.round_trip(link)
    yield server_checks.clock(link)
    yield server_checks.pooler(link)
    if not durability.is_standby:  # it refuses LISTEN and NOTIFY
        yield server_checks.notifications(link, upkeep)
    yield server_checks.vacuum(upkeep)
    yield server_checks.transaction_ids(upkeep)
    yield server_checks.sessions(upkeep)
    if facts.rights is not None:  # there is a queue
        yield server_checks.rights(facts.rights)
        yield server_checks.guards(facts.missing_guards, facts.excess_rights)


def check_machine() -> Iterator[Finding]:
    """Check what a worker needs of this machine."""
    yield checks.descriptors(*machine.open_files())
    yield checks.marks(machine.may_mark())

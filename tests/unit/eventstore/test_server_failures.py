"""Each refusal of a server comes with what to do about it, and no address shows a secret."""

import pytest

from eventstore.errors import Away, InvalidAddress, NotAllowed, Rejected, StorageFailed, StoreError

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

from eventstore.postgres.address import address_from, direct  # noqa: E402
from eventstore.postgres.failures import translated, translation_of  # noqa: E402

JOBS = "postgresql://render@db.example/jobs"


def connecting(message: str) -> StoreError:
    """Return the error for a failure to connect, which has no SQLSTATE."""
    start = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '
    with pytest.raises(StoreError) as caught, translated(JOBS):
        raise psycopg.OperationalError(f"{start}{message}\nmore")
    return caught.value


@pytest.mark.parametrize(
    ("message", "todo"),
    [
        ('FATAL:  role "queuectl_worker" is not permitted to log in', "as a member of this role"),
        ('FATAL:  permission denied for database "jobs"', "GRANT CONNECT ON DATABASE"),
        ('FATAL:  too many connections for role "render"', "CONNECTION LIMIT"),
        ("FATAL:  remaining connection slots are reserved for roles with …", "max_connections"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ('FATAL:  database "jobs" is not currently accepting connections', "ALLOW_CONNECTIONS"),
        ('FATAL:  database "jobs" does not exist', "createdb --encoding=UTF8"),
        ('FATAL:  role "nobody" does not exist', "correct the user"),
        ('FATAL:  password authentication failed for user "render"', "~/.pgpass"),
        ('FATAL:  no pg_hba.conf entry for host "h", user "u", database "jobs"', "pg_hba.conf"),
        ('root certificate file "/etc/ca.pem" does not exist', "sslrootcert"),
        ("SSL error: certificate verify failed", "sslrootcert"),
        ("server does not support SSL, but SSL was required", "ssl = on"),
    ],
)
def test_refused_connection_has_advice(message: str, todo: str) -> None:
    error = connecting(message)
    assert isinstance(error, Rejected)
    assert "refuses the connection (connection failed: connection to" in str(error)
    assert todo in str(error).rpartition("; ")[2]


def test_server_that_is_starting_is_away() -> None:
    error = connecting("FATAL:  the database system is starting up")
    assert isinstance(error, Away)
    assert not isinstance(error, Rejected)


@pytest.mark.parametrize(
    ("state", "message", "expected", "todo"),
    [
        ("57014", "canceling statement due to statement timeout", StorageFailed, "ALTER ROLE"),
        ("57014", "canceling statement due to user request", StorageFailed, "try again"),
        ("42501", "permission denied for table leases", NotAllowed, "the role encodes_worker"),
        ("42501", "permission denied for table events", NotAllowed, "the role encodes_client"),
        ("42501", "permission denied for schema encodes", NotAllowed, "encodes_reader"),
        ("53300", "too many connections", Rejected, "max_connections"),
    ],
)
def test_refused_statement_has_advice(
    state: str, message: str, expected: type[StoreError], todo: str
) -> None:
    error = translation_of(f"{JOBS}?queue=encodes", state, message)
    assert isinstance(error, expected)
    assert todo in str(error)


@pytest.mark.parametrize("name", ["passwrd", "Password", "pass%77ord", "scram_client_key"])
def test_unknown_or_secret_parameter_is_not_shown(name: str) -> None:
    address = address_from(f"{JOBS}?sslmode=require&{name}=secret&queue=encodes")
    assert "secret" in address.url
    assert "secret" not in address.label
    assert "sslmode=require" in address.label


def test_direct_address_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    address = address_from(f"{JOBS}?queue=encodes")
    assert direct(address) == address
    monkeypatch.setenv("QUEUECTL_DB_DIRECT", "postgresql://render:secret@direct.example/jobs")
    assert direct(address).label == "QUEUECTL_DB_DIRECT (postgresql://render@direct.example/jobs)"
    assert direct(address).schema == "encodes"
    monkeypatch.setenv("QUEUECTL_DB_DIRECT", "https://render:secret@direct.example/jobs")
    with pytest.raises(InvalidAddress, match=r"^QUEUECTL_DB_DIRECT \(https://render@direct"):
        direct(address)

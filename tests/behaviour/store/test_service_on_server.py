"""The unit of a worker on a server: its lease, and no secrets."""

import pytest

from tests.ctl import Ctl
from tests.stores import ON_A_SERVER

pytestmark = ON_A_SERVER
pytest.importorskip("psycopg", reason="psycopg is not installed")

SECRETS = {"PGPASSWORD": "secret", "PGSSLMODE": "prefer", "PGPASSFILE": "/srv/pass word"}


def test_a_unit_has_the_lease_of_its_queue_and_no_password(ctl: Ctl, url: str) -> None:
    ctl.env |= {**SECRETS, "XDG_CONFIG_HOME": str(ctl.folder), "XDG_STATE_HOME": str(ctl.folder)}
    ctl.env["QUEUECTL_DB_DIRECT"] = "postgresql://anna:secret@db.example/jobs"
    address = url.replace("postgres@", "postgres:secret@")
    assert address != url
    ctl("init", url)
    ctl("--db", address, "config", "set", "lease", "1m")
    text = ctl("--db", address, "service", "print").out
    assert "secret" not in text
    assert "WatchdogSec=32500ms" in text
    assert 'Environment="PGPASSFILE=/srv/pass word"\nEnvironment=PGSSLMODE=prefer\n' in text
    assert "Environment=QUEUECTL_DB_DIRECT=postgresql://anna@db.example/jobs\n" in text
    assert f"Environment=XDG_STATE_HOME={ctl.folder}\n" in text
    ctl("--db", address, "config", "set", "lease", "never")
    installed = ctl("--db", address, "service", "install")
    assert "The unit has no password: put it into ~/.pgpass" in installed.err
    assert "Watchdog" not in (ctl.folder / "systemd/user/queuectl.service").read_text()

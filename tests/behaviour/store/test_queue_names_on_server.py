"""A queue on a server may have any name: it is quoted wherever SQL contains it."""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.ctl import Ctl
from tests.sampling import first_of
from tests.stores import ON_A_SERVER

pytestmark = ON_A_SERVER

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

NAMES = ('it\'s "dot.dot"\n100%s {x} $guard$', "with space", "Upper")


@pytest.mark.parametrize("name", first_of(NAMES))
def test_all_commands_accept_the_name(ctl: Ctl, url: str, tmp_path: Path, name: str) -> None:
    ctl.env["XDG_STATE_HOME"] = str(tmp_path / "state")
    place = f"{url.rpartition('=')[0]}={quote(name, safe='')}"
    ctl("init", place, "--roles")
    ctl.env["QUEUECTL_DB"] = place
    named = ("--db", place)
    job = ctl(*named, "enqueue", "--", "seq 20000").out.strip()
    failing = ctl(*named, "enqueue", "--max-retries", "0", "--", "exit 3").out.strip()
    ctl(*named, "worker", "start", "--until-empty")
    ctl(*named, "replay")
    ctl(*named, "replay", "--check")
    checks = ctl(*named, "doctor", "--deep", "--json", code=None).json["checks"]
    found = {check["check"]: check["found"] for check in checks}
    assert "missing" not in found["guards"], found
    assert found["rights"].startswith("postgres is a superuser"), found
    ctl(*named, "verify", "--outputs")
    ctl(*named, "dlq", "retry", failing)
    ctl(*named, "cancel", failing)
    for words in (
        ("status",),
        ("list",),
        ("show", job),
        ("logs", job),
        ("history", job),
        ("events",),
        ("dlq", "list"),
        ("worker", "list"),
        ("config", "set", "lease", "10s"),
        ("config", "list"),
    ):
        ctl(*named, *words)
    ctl(*named, "backup", str(tmp_path / "backup.db"))
    ctl("migrate", place, str(tmp_path / "moved.db"))
    ctl("--db", str(tmp_path / "moved.db"), "replay", "--check")


@pytest.mark.parametrize("name", NAMES)
def test_printed_sql_is_valid(ctl: Ctl, url: str, name: str) -> None:
    from eventstore.postgres.address import address_from

    place = f"{url.rpartition('=')[0]}={quote(f'p{name}', safe='')}"
    sql = ctl("init", place, "--print", "--roles").out
    with psycopg.connect(address_from(url).url, autocommit=True) as connection:
        connection.execute(sql)
    ctl("--db", place, "enqueue", "--", "true")

"""The commands of docs/postgresql.md work as printed, in the same order."""

import os
import re
import shlex
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from docs import generate
from tests.ctl import DEADLINE_S, PROGRAM
from tests.postgres import Server
from tests.stores import ON_A_SERVER

pytest.importorskip("psycopg", reason="psycopg is not installed")

TEXT = (generate.FOLDER / "postgresql.md").read_text()

BLOCK = re.compile(r"```(sh|sql)\n(.*?)```", re.DOTALL)

ADDRESS = re.compile(r"postgresql://(\w+@)?db\.example/jobs(\??)")

ENDLESS = "worker start --count 4"

AGAIN = "dropdb jobs; createdb --encoding=UTF8 --template=template0 jobs"
"""The second way to create the queue needs a database without it."""

BEGIN = """
set -e
queuectl() { %s "$@"; }
"""

END = """
queuectl worker stop
wait
"""


def script(server: Server) -> str:
    """Return all blocks as one shell script. The server has another address than in the text."""
    parts = []
    for language, body in BLOCK.findall(TEXT):
        if "pooler" in body:
            continue
        body = textwrap.dedent(body)
        if language == "sql":
            body = f"psql --quiet --set=ON_ERROR_STOP=1 --dbname=jobs <<'SQL'\n{body}SQL\n"
        if "--print" in body:
            body = f"{AGAIN}\n{body}"
        parts.append(body.replace(ENDLESS, f"{ENDLESS} &"))

    def actual(match: re.Match[str]) -> str:
        return f"postgresql://{match[1] or ''}/jobs?host={server.folder}{'&' if match[2] else ''}"

    # The server of the tests does not sync, which is a problem.
    commands = ADDRESS.sub(actual, "".join(parts)).replace("doctor\n", "doctor || [ $? = 1 ]\n")
    return BEGIN % shlex.join(PROGRAM) + commands + END


@ON_A_SERVER
@pytest.mark.usefixtures("url")
def test_the_commands_of_the_page_about_postgresql_work(
    kind: str, server_of: Callable[[str], Server], tmp_path: Path
) -> None:
    server = server_of(kind)
    env = {key: text for key, text in os.environ.items() if not key.startswith("QUEUECTL_")}
    programs = f"{server.programs}:{env['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script(server)],
        env={
            **env,
            "HOME": str(tmp_path),
            "PATH": programs,
            "PGHOST": str(server.folder),
            "PGUSER": "postgres",
            "PYTHONPATH": str(Path(__file__).parents[3]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done
    assert f"hello from {os.uname().nodename}\n" in done.stdout
    assert "views rebuilt" in done.stdout
    assert (tmp_path / "monday.db").exists()

"""Another program that uses Python's sqlite3, in its own process.

Within one process, closing its connection would drop the locks that APSW holds on the same file.
"""

import json
import subprocess
import sys
from typing import Any

_PROGRAM = """
import json, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
try:
    rows = [database.execute(text).fetchall() for text in json.load(sys.stdin)]
    database.commit()
except sqlite3.Error as error:
    sys.exit(f"{type(error).__name__}: {error}")
finally:
    database.close()
json.dump(rows[-1] if rows else [], sys.stdout)
"""


class Refused(Exception):
    """The database refused a statement, with this message."""


def stranger(path: str, *statements: str) -> list[list[Any]]:
    """Run the statements in one transaction; return the rows of the last. Raises Refused."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, path],
        input=json.dumps(statements),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(done.stderr.strip())
    rows: list[list[Any]] = json.loads(done.stdout)
    return rows


_TRIGGERS = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"


def tamper(path: str, *statements: str) -> None:
    """Change the log: drop its triggers, run the statements, and create the triggers again."""
    triggers = stranger(path, _TRIGGERS)
    drops = [f"DROP TRIGGER {name}" for name, _ in triggers]
    stranger(path, *drops, *statements, *[sql for _, sql in triggers])

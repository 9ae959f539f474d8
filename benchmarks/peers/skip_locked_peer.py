"""A bare queue on PostgreSQL: `fill URL JOBS COMMAND`, then one `drain URL` in each process.

A job is claimed by SELECT … FOR UPDATE SKIP LOCKED and committed, run, and recorded as done in a
second transaction. There are no events, retries, outputs or takeovers.
"""

import subprocess
import sys

import psycopg

CREATE = """
    CREATE TABLE bare (id BIGSERIAL PRIMARY KEY, command TEXT, state TEXT DEFAULT 'pending');
    CREATE INDEX ON bare (id) WHERE state = 'pending'"""

CLAIM = """
    UPDATE bare SET state = 'processing' WHERE id = (
        SELECT id FROM bare WHERE state = 'pending' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, command"""


def main(verb: str, url: str, number: str = "", command: str = "") -> None:
    """Fill the table with `number` jobs, or run jobs until none is pending."""
    with psycopg.connect(url, autocommit=True) as connection:
        if verb == "fill":
            connection.execute(CREATE)
            fill = "INSERT INTO bare (command) SELECT %s FROM generate_series(1, %s)"
            connection.execute(fill, (command, int(number)))
            return
        while row := connection.execute(CLAIM).fetchone():
            subprocess.run(["sh", "-c", row[1]], check=False)
            connection.execute("UPDATE bare SET state = 'done' WHERE id = %s", (row[0],))


if __name__ == "__main__":
    main(*sys.argv[1:])

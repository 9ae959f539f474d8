"""Doing a task only once at a time, over all machines."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from zlib import crc32

import psycopg

from .address import Address
from .connecting import connect_to_server
from .failures import translated
from .following import lock_number
from .round_trip import last_result

# A lock of the transaction: behind a pooler, a lock of the session could be that of another client.
# Without a snapshot, the transaction holds nothing back.
TRY = """
    BEGIN;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SELECT pg_try_advisory_xact_lock({task}, {queue})"""


@contextmanager
def alone(address: Address, key: str, task: str) -> Iterator[bool]:
    """Yield True if no other process does this task on the queue. The block holds a connection.

    key: the id of the queue. If the connection is lost, others may begin the task.
    """
    connection = connect_to_server(address)
    try:
        with translated(address.label):
            message = TRY.format(
                task=lock_number(f"{crc32(task.encode()):08x}"), queue=lock_number(key)
            )
            row = last_result(connection.execute(message.encode())).fetchone()
        yield row is not None and row[0]
    finally:
        with suppress(psycopg.Error):  # without an answer, the server would end it a bit later
            connection.execute("ROLLBACK")
        connection.close()

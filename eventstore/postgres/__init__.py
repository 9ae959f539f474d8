"""The log in a schema of a PostgreSQL server, through psycopg.

Not there yet: outputs in pieces, doorbells, copies into a queue file. So this is a `Log`, which is
less than a `Store`.
"""

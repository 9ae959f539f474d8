"""The log and the store in a schema of a PostgreSQL server, through psycopg."""

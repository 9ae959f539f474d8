"""The log in one SQLite file, through APSW."""

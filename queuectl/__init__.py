"""QueueCTL: a background job queue for one machine, event-sourced in one SQLite file."""

__version__ = "0.1.0"

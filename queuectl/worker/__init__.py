"""The worker: keeper and supervisor, and their parts."""

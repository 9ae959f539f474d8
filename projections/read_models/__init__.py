"""Tables derived from the log: one question a file."""

"""Tables derived from the log: one file per kind of question."""

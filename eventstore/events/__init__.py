"""All types of events: one file per kind of stream."""

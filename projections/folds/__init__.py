"""Computing the state of a stream from its events: one pure fold per file and kind of stream."""

"""The rules: what may be done to a stream of each kind, one pure file a kind."""

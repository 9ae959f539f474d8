"""What may be wrong with a queue file and the machine it is on: looked at, never changed."""

"""Values as people read and write them, and nothing else: no queue, no clock, no I/O."""

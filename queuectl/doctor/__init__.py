"""Read-only checks of a queue file and of the machine that it is on."""

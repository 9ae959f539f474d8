"""Read-only checks of a queue, and of the machine or the server that it is on."""

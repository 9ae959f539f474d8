"""Processes of an attempt that cannot be ended, and what to do about them."""


def unendable(pid: int, name: str, user: str | None) -> str:
    """Say why a process does not end. user: its owner; None if it is the worker's own."""
    if user is None:
        return (
            f"process {pid} ({name}) was killed, but waits for a disk or a mount inside the"
            " kernel; its slot stays in use until it ends"
        )
    return f"process {pid} ({name}) belongs to {user}; to end it: sudo kill {pid}"

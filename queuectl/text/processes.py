"""Advice about processes of an attempt that the worker cannot end."""


def unendable_advice(pid: int, name: str, user: str | None) -> str:
    """Return why a process does not end and what to do.

    user: the owner of the process; None if it is the worker's own user.
    """
    if user is None:
        return (
            f"process {pid} ({name}) was killed, but waits for a disk or a mount inside the"
            " kernel; its slot stays in use until it ends"
        )
    return f"process {pid} ({name}) belongs to {user}; to end it: sudo kill {pid}"

"""The errors of the store, each with a message for the user."""

import errno
from typing import Literal, Self


class StoreError(Exception):
    """Base class of all errors of this package.

    The message is one line: the problem, with the value that caused it, and what to do.
    """


class StreamConflict(StoreError):
    """Another writer has appended to the stream first; nothing was written."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(
            f"stream {stream} is at version {actual}, not {expected}; "
            "another command was first, try again"
        )
        self.stream, self.expected, self.actual = stream, expected, actual


class TransactionOpen(StoreError):
    """Another transaction of the same store object is open; nothing was written."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"a transaction on {path} is already open, in an enclosing block or in another thread;"
            " do not nest them, and use one Queue object per thread"
        )


class Unusable(StoreError):
    """The file cannot serve as the queue."""


class Missing(Unusable):
    """The queue file does not exist."""

    def __init__(self, path: str, no_folder: str | None = None) -> None:
        """no_folder: the folder of the file, if that is missing too."""
        if no_folder is not None:
            words = f"there is no folder {no_folder}; create it, or name another file with --db"
        else:
            words = "the first job creates it; to use another queue, name it with --db"
        super().__init__(f"no queue at {path}; {words}")


class NoFolder(Unusable):
    """The folder in which the file would be created does not exist."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"there is no folder {folder}; create it, or name another file with --db")


class NoHome(Unusable):
    """The user has no home directory to keep a queue in."""

    def __init__(self, user: int) -> None:
        super().__init__(
            f"user {user} has no home directory (HOME is not set, and there is no passwd entry);"
            " name the queue file with --db or QUEUECTL_DB"
        )


class NoWorkingDirectory(Unusable):
    """The working directory was deleted, so a relative path cannot be resolved."""

    def __init__(self) -> None:
        super().__init__(
            "the working directory no longer exists; change to another one, or name the"
            " queue file by an absolute path"
        )


class NotYourHome(Unusable):
    """The process runs as root with the HOME of another user."""

    def __init__(self, folder: str, owner: int) -> None:
        super().__init__(
            f"{folder} belongs to user {owner}, and this is root with that user's HOME;"
            " run queuectl without sudo, with sudo -H, or name the queue file with --db"
        )


class FolderNotMade(Unusable):
    """The folder of the user's own queue cannot be created."""

    def __init__(self, folder: str, what: str) -> None:
        super().__init__(
            f"{folder} cannot be created ({what}); name another queue file with --db or QUEUECTL_DB"
        )


class NoAccess(Unusable):
    """A folder above the file cannot be entered."""

    def __init__(self, path: str, folder: str, owner: int, user: int) -> None:
        """owner: user id of the folder's owner. user: id of the user who runs this process."""
        if owner == user:
            todo = f"make it accessible: chmod u+rwx {folder}"
        else:
            todo = f"name another file with --db, or take it over: sudo chown -R {user} {folder}"
        super().__init__(f"{path} cannot be used: {folder} belongs to user {owner}; {todo}")


class ForeignFile(Unusable):
    """The file is not a queue of this user; it was not changed."""

    def __init__(self, path: str, what: str, todo: str = "name another file with --db") -> None:
        super().__init__(f"{path} {what}; {todo}")
        self.what = what


class OptionAsPath(Unusable):
    """The path begins like an option, so it is probably a mistyped option."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"a queue file is not named like an option, as {path} is;"
            f" if you mean it, write ./{path}"
        )


class SecondName(Unusable):
    """The file is used by another path; each path would have its own -wal."""

    @classmethod
    def linked(cls, path: str, first: str | None) -> Self:
        """Return the error for a hard link. first: the name to use instead, if it is known."""
        if first is not None:
            return cls(
                f"{path} is a second name (hard link) of the queue {first};"
                " use that name, and remove this one"
            )
        return cls(
            f"{path} has several names (hard links), but a queue can have only one;"
            f" 'find / -xdev -samefile {path}' lists them: remove the others"
        )

    @classmethod
    def mounted(cls, path: str, source: str | None) -> Self:
        """Return the error for a bind mount of the file alone.

        source: its path in the mounted file system.
        """
        return cls(
            f"{path} is a second name of {source or 'a queue'}, mounted here as a single file;"
            " mount the folder that contains it, so that the queue has its -wal next to it"
        )


class LeftBehind(Unusable):
    """The file was renamed or moved without its -wal."""

    def __init__(self, path: str, old: str) -> None:
        super().__init__(
            f"{path} was moved from {old}, but its newest records are still in {old}-wal;"
            f" move it back, or end all workers and move {old}-wal and {old}.d as well"
        )


class OtherWal(Unusable):
    """The file replaced another one whose -wal still exists."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path}-wal belongs to another queue file that was at {path} before; end all workers,"
            f" then put that file back or move {path}-wal away"
        )


class NewerFile(Unusable):
    """The file was written by a newer version."""

    def __init__(self, path: str, format_: int, known: int) -> None:
        super().__init__(
            f"{path} has format {format_}, this version knows {known}; upgrade queuectl to use it"
        )


Unwritable = Literal["modes", "mount"]
"""Why a file cannot be written: its permissions, or a file system that is mounted read-only."""


class ReadOnly(Unusable):
    """The file cannot be written, for the reason `why`."""

    def __init__(self, path: str, why: Unwritable = "modes") -> None:
        if why == "mount":
            words = (
                "is on a file system that is mounted read-only; if nobody did that, check the disk"
                " (dmesg), then remount it"
            )
        else:
            words = "may not be written; check the permissions of the file and its folder"
        super().__init__(f"{path} {words}")
        self.why = why


class Gone(Unusable):
    """The file was deleted or replaced while it was open."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} was deleted or replaced while in use, and this command stopped;"
            " start it again, or put the file back first"
        )


DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a write to a full disk, or beyond the user's quota."""


class Full(Unusable):
    """The disk is full; nothing was written."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"no space left for {path}; nothing was written, free some space and try again"
        )


class FileTooLarge(Unusable):
    """The file would exceed this process's limit for file sizes; nothing was written."""

    def __init__(self, path: str, limit_bytes: int) -> None:
        super().__init__(
            f"{path} would be larger than the limit of this shell for files"
            f" ({limit_bytes // 1024:,} kB); raise it (ulimit -f unlimited) and try again"
        )


class TemporaryFull(Unusable):
    """A temporary file could not be written; nothing was written to the queue."""

    def __init__(self, folder: str, what: str) -> None:
        super().__init__(
            f"no temporary file can be written in {folder} ({what}); free some space there, or"
            " name another folder by TMPDIR"
        )


class Busy(Unusable):
    """Another process held the write lock longer than the busy timeout; nothing was written."""

    def __init__(self, path: str, waited_s: float, holder: str, todo: str) -> None:
        """holder: a description of the process that holds the lock."""
        super().__init__(
            f"{path} was locked for {waited_s:g} s by {holder}; {todo}, then try again"
        )
        self.holder = holder


class InUse(Unusable):
    """Other processes have the file open."""

    def __init__(self, path: str, users: list[str]) -> None:
        """users: a description of each process that has the file open."""
        known = ", ".join(users) or "another process"
        super().__init__(f"{path} is in use by {known}; end it and try again")


class OtherLog(Unusable):
    """The log of the target is not a beginning of the log that is copied into it."""

    def __init__(self, label: str, position: int) -> None:
        super().__init__(
            f"{label} has another event {position} than the queue to copy, so it belongs to"
            " another one; remove it, or name another place"
        )
        self.position = position


class NotEmpty(Unusable):
    """A queue cannot be migrated to this place, because there is something."""

    def __init__(self, label: str) -> None:
        super().__init__(
            f"{label} is not empty; name a new file, or a queue without events"
            " (queuectl init creates it on a server)"
        )


class Unfinished(Unusable):
    """A migration into this place has not been completed."""

    def __init__(self, label: str) -> None:
        super().__init__(
            f"{label} is incomplete, as a migration into it was interrupted;"
            " run queuectl migrate again"
        )


class Moved(Unusable):
    """The queue has moved to another place; here it can only be read."""

    def __init__(self, label: str, to: str) -> None:
        super().__init__(f"{label} has moved to {to}; nothing can be changed here, use that queue")
        self.to = to


class InvalidAddress(Unusable):
    """The address of a queue on a server is not valid."""

    def __init__(self, label: str, what: str) -> None:
        """label: the address without a password."""
        super().__init__(f"{label} is not the address of a queue: {what}")
        self.label, self.what = label, what


class NotCreated(Unusable):
    """There is no queue at this address of a server."""

    def __init__(self, label: str) -> None:
        super().__init__(
            f"no queue at {label}; create it with queuectl init, or correct the address"
        )


class NotAFile(Unusable):
    """The queue is on a server, and the operation needs a queue file."""

    def __init__(self, label: str) -> None:
        super().__init__(f"{label} is on a server; this command works on a queue file")


class RestoreOnServer(Unusable):
    """A backup is put on a server by another command."""

    def __init__(self, label: str) -> None:
        super().__init__(
            f"{label} is on a server; to put a backup there, make a copy of it, create an empty"
            " queue with queuectl init, and run queuectl migrate COPY ADDRESS"
        )


class NoDriver(Unusable):
    """The library that connects to a server is not installed."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"a queue on a server needs psycopg ({what}); install it: pip install"
            " 'queuectl[postgres]'"
        )


class Away(Unusable):
    """The server does not answer; nothing was written."""

    def __init__(self, label: str, what: str) -> None:
        super().__init__(
            f"no answer from the server of {label} ({what}); nothing was written,"
            " try again when it runs"
        )


class OnStandby(Unusable):
    """The server is a standby of another one, so nothing can be written."""

    def __init__(self, label: str) -> None:
        super().__init__(
            f"{label} is on a standby server, which can only be read; connect to the primary: name"
            " all hosts in the address, and add target_session_attrs=read-write"
        )


class Rejected(Away):
    """The server answers, and refuses this connection; another try may succeed."""

    def __init__(self, label: str, what: str, todo: str) -> None:
        words = f"the server of {label} refuses the connection ({what}); {todo}"
        Unusable.__init__(self, words)


class LogWentBack(StoreError):
    """A record that was on the server's disk is missing now."""

    def __init__(self, label: str, position: int) -> None:
        super().__init__(
            f"{label} no longer contains event {position}, which was recorded before: the server"
            " was restored from a backup, or replaced by a standby that lacked it; check with"
            " queuectl verify"
        )
        self.position = position


class NotAllowed(Unusable):
    """The user of the connection lacks a privilege on the server."""

    def __init__(
        self, label: str, what: str, todo: str = "ask the owner of the queue for the privilege"
    ) -> None:
        super().__init__(f"{label}: {what}; {todo}")
        self.what = what


class Incomplete(Unusable):
    """A table or index of the queue file is missing."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path} is incomplete ({what}); run queuectl replay to rebuild the views")
        self.what = what


class StorageFailed(Unusable):
    """An I/O error occurred while reading, or before anything could have been written."""

    def __init__(
        self, path: str, what: str, todo: str = "check the disk (dmesg) and try again"
    ) -> None:
        super().__init__(f"{path}: {what}; {todo}")


class OutcomeUnknown(StoreError):
    """The commit failed with an I/O error: its events may or may not be in the log."""

    def __init__(self, path: str, position: int, cause: str = "the disk failed") -> None:
        super().__init__(
            f"outcome unknown: {cause} while position {position} of {path} was recorded;"
            " put that right, then look with queuectl events before you try again"
        )
        self.position = position


class ChainBroken(StoreError):
    """The log was changed or is damaged."""

    def __init__(self, position: int, what: str) -> None:
        super().__init__(
            f"the log is damaged at position {position}: {what};"
            " restore a backup: queuectl restore BACKUP"
        )
        self.position, self.what = position, what


class HeadMissing(StoreError):
    """The log does not contain a head that it should contain."""

    def __init__(self, expected: int, end: int, hash_: str | None) -> None:
        """The arguments are those of `missing_head`."""
        super().__init__(missing_head(expected, end, hash_))
        self.expected = expected


def missing_head(expected: int, end: int, hash_: str | None) -> str:
    """Return how a log that ends at position `end` contradicts a head at position `expected`.

    hash_: the actual hash at position `expected`; None if the log ends before it.
    """
    if hash_ is not None:
        return f"position {expected} has the hash {hash_}, not the expected one"
    missing = f"event {expected} is" if end + 1 == expected else f"events {end + 1}-{expected} are"
    return f"the log ends at {end}, but the expected head is at {expected}: {missing} missing"

"""Check ids that clients choose: a person must be able to read, type and recognize them."""

import re

from ..errors import BadInput
from ..escape import for_errors, visible

LONGEST_ID = 200
"""The maximum number of characters of an id."""

RESERVED = frozenset({"last", "first", "all", "any", "none"})
"""Words that select jobs on the command line, or may do so in a later version."""

ID_RANGE = r"([0-9]{1,18})-([0-9]{1,18})"
"""A range of job numbers: `3-9`."""

_PLAIN = r"[A-Za-z][A-Za-z0-9_.-]{0,99}"
_BEGINNINGS = {
    "-": "would be read as an option",
    "$": "names a stream of the log that is no job",
    "@": "names a position of the log",
}


def check_id(label: str, job_id: str) -> str:
    """Return the id unchanged. Raises BadInput, with the reason, if it is not allowed.

    label: the option or key, for the error.
    """
    if re.fullmatch(_PLAIN, job_id) and job_id.lower() not in RESERVED:
        return job_id
    if reason := _reason(job_id):
        raise BadInput(f"{label} cannot be {for_errors(job_id)}: {reason}; choose another")
    return job_id


def _reason(job_id: str) -> str | None:
    """Return why this text cannot be an id; None if it can."""
    if not 1 <= len(job_id) <= LONGEST_ID:
        return f"an id has 1 to {LONGEST_ID} characters, not {len(job_id):,}"
    if job_id.isdecimal():
        return "a number is an id that the queue assigns (put a letter or a word before it)"
    if re.fullmatch("[0-9]+-[0-9]*", job_id):
        return "it reads as a range of job numbers"
    if job_id.lower() in RESERVED:
        return f"the word {job_id.lower()!r} is reserved"
    if job_id[0] in _BEGINNINGS:
        return f"what begins with {job_id[0]!r} {_BEGINNINGS[job_id[0]]}"
    if "/" in job_id:
        return "it contains '/', which separates the parts of a path"
    if set(job_id) <= {".", "…"}:
        return "it is made of dots alone, which name a folder"
    return _ambiguity(job_id)


def _ambiguity(job_id: str) -> str | None:
    """Return why a person who reads this id might type another one; None if it is unambiguous."""
    from unicodedata import is_normalized

    if (shown := visible(job_id)) != job_id:
        return f"it contains control or invisible characters ({shown:.100})"
    if any(character.isspace() and character != " " for character in job_id):
        return "it contains a space that is not the plain one"
    if job_id != job_id.strip() or "  " in job_id:
        return "it begins or ends with a space, or contains two in a row"
    if not is_normalized("NFC", job_id):
        return "its accents are separate characters; normalize it to Unicode NFC"
    return None

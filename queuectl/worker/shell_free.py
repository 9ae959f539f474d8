"""Commands that need no shell: started directly, as make does, where nobody can tell.

Starting `sh` only for it to start the program costs a tenth of a short job. What is left out is
Debian's dash, which replaces itself by a command's only program; of other shells the program can
tell that they were there.
"""

import os
import re
from collections.abc import Mapping
from functools import lru_cache

SHELL = "/bin/sh"

# Nothing that any shell would take for more than letters, and no assignment before the program.
_PLAIN = re.compile(r"[ \t]*[\w./:@%+,-]+(?:[ \t]+[\w./:@%+,=-]+)*[ \t]*", re.ASCII)

# What dash does itself, or reads as grammar. Some of it exists as a program too, with other ways.
_THE_SHELLS_OWN = frozenset(
    """. : alias bg break case cd chdir command continue do done echo elif else esac eval exec exit
    export false fc fg fi for getopts hash if in jobs kill let local printf pwd read readonly
    return set shift test then times trap true type ulimit umask unalias unset until wait
    while""".split()  # noqa: SIM905
)
_ALIKE = (("true",), ("false",))
"""Built in, and the same as a program, when nothing follows."""

_SET_BY_THE_SHELL = (b"IFS", b"LINENO", b"OPTIND", b"PPID")
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")


@lru_cache(1_024)
def words_of(command: str) -> tuple[str, ...] | None:
    """The words of a command that needs no shell; None for any other."""
    if not _PLAIN.fullmatch(command):
        return None
    words = tuple(command.split())
    return words if words in _ALIKE or words[0] not in _THE_SHELLS_OWN else None


@lru_cache(1)
def shell_is_dash() -> bool:
    """Whether it is the shell that leaves no trace."""
    return os.path.basename(os.path.realpath(SHELL)) == "dash"


@lru_cache(64)
def handed_on(names: tuple[bytes, ...]) -> bool:
    """Whether dash hands on variables of these names as it finds them."""
    return all(_NAME.fullmatch(name) and name not in _SET_BY_THE_SHELL for name in names)


def inherited(environment: Mapping[bytes, bytes]) -> dict[bytes, bytes] | None:
    """The environment as dash hands it on: it drops what no variable can be named.

    None where it sets some of it itself.
    """
    if any(name in environment for name in _SET_BY_THE_SHELL):
        return None
    return {name: value for name, value in environment.items() if _NAME.fullmatch(name)}


def here(said: bytes | None) -> bytes:
    """What dash sets PWD to: the directory by the name `said`, where that is true."""
    directory = os.getcwdb()
    if said and said != directory and said.startswith(b"/"):
        try:
            if os.path.samestat(os.stat(said), os.stat(directory)):
                return said
        except OSError:
            pass  # that name means nothing any more
    return directory

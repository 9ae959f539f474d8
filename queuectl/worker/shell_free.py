"""Commands that are started without a shell, as make does, if the result is the same.

A shell that only starts one program costs a tenth of a short job. This is done only if `sh` is
Debian's dash, which replaces itself by the command's only program. The other shells leave traces
that the program can see. See docs/decisions/0010.
"""

import os
import re
from collections.abc import Mapping
from functools import lru_cache

SHELL = "/bin/sh"

# Only characters without a special meaning in any shell, and no assignment before the program.
_PLAIN = re.compile(r"[ \t]*[\w./:@%+,-]+(?:[ \t]+[\w./:@%+,=-]+)*[ \t]*", re.ASCII)

# Built-in commands and keywords of dash. Some exist as programs too, but behave differently.
_BUILT_IN = frozenset(
    """. : alias bg break case cd chdir command continue do done echo elif else esac eval exec exit
    export false fc fg fi for getopts hash if in jobs kill let local printf pwd read readonly
    return set shift test then times trap true type ulimit umask unalias unset until wait
    while""".split()  # noqa: SIM905
)
_ALIKE = (("true",), ("false",))
"""Built-in commands that, without arguments, do the same as the program of that name."""

_SET_BY_SHELL = (b"IFS", b"LINENO", b"OPTIND", b"PPID")
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")


@lru_cache(1_024)
def words_of(command: str) -> tuple[str, ...] | None:
    """Return the words of a command that needs no shell; None for any other command."""
    if not _PLAIN.fullmatch(command):
        return None
    words = tuple(command.split())
    return words if words in _ALIKE or words[0] not in _BUILT_IN else None


@lru_cache(1)
def shell_is_dash() -> bool:
    """Return whether `sh` is dash. A program cannot see that dash has started it."""
    return os.path.basename(os.path.realpath(SHELL)) == "dash"


@lru_cache(64)
def handed_on(names: tuple[bytes, ...]) -> bool:
    """Return whether dash passes variables of these names on unchanged."""
    return all(_NAME.fullmatch(name) and name not in _SET_BY_SHELL for name in names)


def inherited(environment: Mapping[bytes, bytes]) -> dict[bytes, bytes] | None:
    """Return the environment as dash passes it on: without names that are invalid in a shell.

    None if it contains variables that dash sets itself.
    """
    if any(name in environment for name in _SET_BY_SHELL):
        return None
    return {name: value for name, value in environment.items() if _NAME.fullmatch(name)}


def here(pwd: bytes | None) -> bytes:
    """Return the PWD that dash sets: `pwd` if it names the current directory, else its path."""
    directory = os.getcwdb()
    if pwd and pwd != directory and pwd.startswith(b"/"):
        try:
            if os.path.samestat(os.stat(pwd), os.stat(directory)):
                return pwd
        except OSError:
            pass  # that path no longer exists
    return directory

"""The text of the unit of a worker: what systemd starts, and how it ends it.

docs/operations.md and docs/decisions/0024 have the reasons for its lines. See systemd.service(5),
systemd.kill(5) and, for quoting, systemd.syntax(7).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from ..escape import visible
from ..worker.lease import watchdog_us

Scope = Literal["user", "system"]

FIRST_LINE = "# Written by `queuectl service install`."
"""By this line, `uninstall` recognizes a unit that it may remove."""
ABORT = 12
"""After the watchdog, processes that are not gone within this part of a lease are killed again."""
NO_RESTART = "2 5"
"""Exit codes that a person must look at: a wrong command line, and a log that went back."""

_PLAIN = re.compile(r"[\w@%+=:,./?&-]+", re.ASCII)


class Service(NamedTuple):
    """A worker that systemd is to run."""

    scope: Scope
    place: str
    """The queue file, or the address of a queue on a server without its password."""
    command: Sequence[str]
    """The program, an absolute path, and its arguments."""
    user: str | None
    """The user that runs it; None for the user of the service manager."""
    environment: Mapping[str, str]
    on_server: bool
    lease_us: int | None
    """On a server: the lease in force; None for no watchdog."""


def unit_text(service: Service) -> str:
    """Return the content of the unit file."""
    return "\n".join(_lines(service)) + "\n"


def _lines(service: Service) -> Iterator[str]:
    yield FIRST_LINE
    yield ""
    yield "[Unit]"
    yield f"Description=queuectl worker of {visible(service.place).replace('%', '%%')}"
    if service.on_server and service.scope == "system":
        yield "Wants=network-online.target"
        yield "After=network-online.target"
    yield "StartLimitIntervalSec=0"
    yield ""
    yield "[Service]"
    yield "Type=notify"
    yield "# The supervisor sends the messages, a child of the keeper, which is the main process."
    yield "NotifyAccess=all"
    program, *arguments = service.command
    words = [_word(program, "%"), *(_word(argument, "%$") for argument in arguments)]
    yield f"ExecStart={' '.join(words)}"
    for name, value in sorted(service.environment.items()):
        yield f"Environment={_word(f'{name}={value}', '%')}"
    if service.user is not None:
        yield f"User={service.user}"
    yield "# A queue of an older version may be rebuilt first."
    yield "TimeoutStartSec=infinity"
    yield "# SIGTERM only to the keeper: running jobs may finish. SIGKILL to all that is left then."
    yield "KillMode=mixed"
    yield "TimeoutStopSec=1h"
    yield "Restart=on-failure"
    yield "RestartSec=5s"
    yield "SuccessExitStatus=130"
    yield f"RestartPreventExitStatus={NO_RESTART}"
    yield "# A job that is killed for its memory fails; its worker and the other jobs go on."
    yield "OOMPolicy=continue"
    if service.lease_us is not None:
        yield from _watchdog(service.lease_us)
    yield ""
    yield "[Install]"
    yield f"WantedBy={'default' if service.scope == 'user' else 'multi-user'}.target"


def _watchdog(lease_us: int) -> Iterator[str]:
    yield "# If keeper and supervisor are both stopped, nothing else ends the jobs. The keeper is"
    yield "# killed first; with it gone, `mixed` kills at once what is left in the control group."
    yield f"WatchdogSec={watchdog_us(lease_us) // 1000}ms"
    yield "WatchdogSignal=SIGKILL"
    yield f"TimeoutAbortSec={lease_us // ABORT // 1000}ms"


def _word(text: str, doubled: str) -> str:
    """Return a word of a command line. doubled: characters with a meaning, which are doubled."""
    for character in doubled:
        text = text.replace(character, 2 * character)
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\x{ord(match[0]):02x}", escaped) + '"'

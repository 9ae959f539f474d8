"""Words of other programs that people may type, each with the word of this program."""

import shlex
from collections.abc import Iterable, Mapping

import click

from ...errors import nearest

FOREIGN_SUBCOMMANDS: dict[str, dict[str, str]] = {
    "queuectl": {
        **dict.fromkeys(("ls", "jobs", "ll", "queue", "find"), "list"),
        **dict.fromkeys(("add", "submit", "push", "put", "new", "create", "schedule"), "enqueue"),
        **dict.fromkeys(("requeue", "redo", "rerun", "restart"), "dlq retry"),
        **dict.fromkeys(("start", "run", "work", "workers", "consume", "daemon"), "worker start"),
        **dict.fromkeys(("stop", "drain", "shutdown", "quit"), "worker stop"),
        **dict.fromkeys(("kill", "abort", "delete", "rm", "remove"), "cancel"),
        **dict.fromkeys(("ps", "top"), "worker list"),
        **dict.fromkeys(("dead", "failed", "deadletter", "dead-letter"), "dlq list"),
        **dict.fromkeys(("stats", "stat", "info", "metrics", "count", "counts"), "status"),
        **dict.fromkeys(("audit", "trace", "timeline"), "history"),
        **dict.fromkeys(("log", "output", "tail", "cat", "stdout"), "logs"),
        **dict.fromkeys(("describe", "inspect", "get", "view"), "show"),
        **dict.fromkeys(("feed", "journal", "watch"), "events"),
        **dict.fromkeys(("set", "configure"), "config set"),
        **dict.fromkeys(("settings", "conf"), "config list"),
        **dict.fromkeys(("web", "ui", "serve", "server"), "dashboard"),
        **dict.fromkeys(("check", "health", "diagnose"), "doctor"),
        **dict.fromkeys(("rebuild", "reindex", "migrate"), "replay"),
        **dict.fromkeys(("dump", "export", "copy"), "backup"),
        **dict.fromkeys(("fsck", "validate"), "verify"),
        **dict.fromkeys(("join", "await"), "wait"),
        "version": "--version",
    },
    "queuectl worker": {
        **dict.fromkeys(("status", "ls", "ps", "show", "info"), "list"),
        **dict.fromkeys(("run", "up", "work", "launch", "add"), "start"),
        **dict.fromkeys(("kill", "down", "quit", "shutdown", "drain", "remove"), "stop"),
    },
    "queuectl dlq": {
        **dict.fromkeys(("remove", "rm", "delete", "purge", "drop", "clear", "flush"), "discard"),
        **dict.fromkeys(("requeue", "redrive", "replay", "restart", "resurrect", "kick"), "retry"),
        **dict.fromkeys(("ls", "status", "count", "jobs"), "list"),
        **dict.fromkeys(("info", "inspect", "describe", "get"), "show"),
    },
    "queuectl config": {
        **dict.fromkeys(("show", "ls", "view", "print", "dump"), "list"),
        **dict.fromkeys(("update", "put", "edit", "add"), "set"),
        **dict.fromkeys(("unset", "reset", "delete", "remove", "rm"), "set KEY default"),
        **dict.fromkeys(("read", "value"), "get"),
    },
}
"""For each group, the words that people may type after it, each with the right subcommand."""

# Options that people may type for any subcommand; used if that subcommand has the right option.
_ANYWHERE = {
    **dict.fromkeys(("--database", "--queue-file", "--db-path", "--dbfile"), "--db"),
    **dict.fromkeys(("--format", "--output-format", "--as-json"), "--json"),
    **dict.fromkeys(("--status", "--filter"), "--state"),
    **dict.fromkeys(("--force", "--confirm", "--no-confirm", "--assume-yes"), "--yes"),
    **dict.fromkeys(("--simulate", "--noop", "--no-op", "--check"), "--dry-run"),
    **dict.fromkeys(("--max", "--count", "--lines", "--number"), "--limit"),
    **dict.fromkeys(("--label", "--tags", "--labels"), "--tag"),
    **dict.fromkeys(("--message", "--comment", "--why"), "--reason"),
    **dict.fromkeys(("--from", "--newer-than"), "--since"),
    **dict.fromkeys(("--to", "--before", "--older-than"), "--until"),
    "--wait-timeout": "--timeout",
}

FOREIGN_OPTIONS: dict[str, dict[str, str]] = {
    "queuectl enqueue": {
        **dict.fromkeys(("--command", "--cmd", "--run", "--exec"), "-- CMD ARG"),
        **dict.fromkeys(("--retries", "--retry", "--attempts", "--max-attempts"), "--max-retries"),
        **dict.fromkeys(("--backoff", "--base-backoff", "--retry-delay"), "--backoff-base"),
        **dict.fromkeys(("--max-backoff", "--max-delay"), "--backoff-max"),
        **dict.fromkeys(("--at", "--when", "--schedule", "--start-at", "--eta"), "--run-at"),
        **dict.fromkeys(("--in", "--after", "--wait", "--countdown"), "--delay"),
        **dict.fromkeys(("--dir", "--directory", "--chdir", "--workdir", "--pwd"), "--cwd"),
        **dict.fromkeys(("--environment", "--env-var", "--export"), "--env"),
        **dict.fromkeys(("--time-limit", "--max-runtime", "--ttl"), "--timeout"),
        **dict.fromkeys(("--json-file", "--input", "--from-file", "--path"), "--file"),
        **dict.fromkeys(("--job-id", "--key", "--unique"), "--id"),
        **dict.fromkeys(("--ok-exit", "--success-codes"), "--success-exit"),
        **dict.fromkeys(("--prio", "--nice"), "--priority"),
        **dict.fromkeys(("--title", "--job-name"), "--name"),
    },
    "queuectl worker start": {
        **dict.fromkeys(
            ("--workers", "--concurrency", "--jobs", "--threads", "--slots", "--processes"),
            "--count",
        ),
        **dict.fromkeys(("--drain", "--burst", "--once", "--exit-when-empty"), "--until-empty"),
        **dict.fromkeys(("--queues", "--only"), "--queue"),
    },
    "queuectl worker stop": dict.fromkeys(("--kill", "--force", "--immediately"), "--now"),
    "queuectl logs": {
        **dict.fromkeys(("--lines", "--last"), "--tail"),
        **dict.fromkeys(("--run", "--try"), "--attempt"),
    },
    "queuectl list": {"--order": "the newest come first; --since and --until choose a time"},
}
"""For each subcommand, the options that people may type, each with the right option."""

FOREIGN_STATES = {
    **dict.fromkeys(("running", "active", "started", "claimed", "busy"), "processing"),
    **dict.fromkeys(("queued", "waiting", "ready", "new", "enqueued", "open"), "pending"),
    **dict.fromkeys(("done", "success", "succeeded", "finished", "complete", "ok"), "completed"),
    **dict.fromkeys(("retrying", "retry", "error", "errored", "backoff"), "failed"),
    **dict.fromkeys(("dlq", "buried", "exhausted", "deadletter", "dead-letter"), "dead"),
    **dict.fromkeys(("delayed", "deferred", "future"), "scheduled"),
    **dict.fromkeys(("canceled", "killed", "aborted", "discarded", "revoked"), "cancelled"),
}

FOREIGN_EVENT_TYPES = {
    **dict.fromkeys(("created", "added", "submitted", "queued"), "enqueued"),
    **dict.fromkeys(("started", "start", "running", "processing"), "claimed"),
    **dict.fromkeys(("completed", "done", "success", "finished"), "succeeded"),
    **dict.fromkeys(("error", "failure", "timeout"), "failed"),
    **dict.fromkeys(("retry", "retried"), "requeued"),
    **dict.fromkeys(("canceled", "discarded"), "cancelled"),
}


def subcommand_meant(group: str, word: str, known: Iterable[str]) -> str | None:
    """Return what to type instead of a subcommand that a group does not have."""
    meant = nearest(word, known, FOREIGN_SUBCOMMANDS.get(group, {}))
    return None if meant is None else f"{'queuectl' if group == 'queuectl' else group} {meant}"


def extra_meant(path: str, extra: str, params: Mapping[str, object]) -> str | None:
    """Return what to type instead of extra words that a subcommand does not accept.

    path: the subcommand. params: the values of its parameters.
    """
    if path == "queuectl list":
        state = FOREIGN_STATES.get(extra, extra)
        return f"--state {state}" if state in FOREIGN_STATES.values() else f"queuectl show {extra}"
    if path == "queuectl dlq list":
        return f"queuectl dlq show {extra}"
    if path == "queuectl status":
        return f"--queue {extra}"
    if path == "queuectl worker start":
        return f"--count {extra}" if extra.isdecimal() else f"--queue {extra}"
    joined = f"{params.get('job')} {extra}"
    if "job" in params and not joined.replace(" ", "").isdecimal():
        return f"{path} {shlex.quote(joined)}"
    return None


def option_meant(path: str, word: str, command: click.Command, ctx: click.Context) -> str | None:
    """Return what to type instead of an option that a subcommand does not have."""
    known = [
        name
        for param in command.get_params(ctx)
        if isinstance(param, click.Option)
        for name in param.opts
        if name.startswith("--")
    ]
    anywhere = {
        foreign: own for foreign, own in _ANYWHERE.items() if own in known and foreign not in known
    }
    plain = {name.lstrip("-"): name for name in known}  # all have dashes: compare without them
    meant = (anywhere | FOREIGN_OPTIONS.get(path, {})).items()
    near = nearest(word.lstrip("-"), plain, {foreign.lstrip("-"): own for foreign, own in meant})
    return plain.get(near, near) if near else None

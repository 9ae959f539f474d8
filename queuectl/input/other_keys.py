"""Keys of jobs in answers of QueueCTL and in other programs, for errors about unknown keys."""

SET_BY_THE_QUEUE = frozenset(
    {
        "state",
        "status",
        "attempt",
        "attempts",
        "begun",
        "retries_used",
        "round",
        "created_at",
        "updated_at",
        "enqueued_at",
        "changed_at",
        "due_at",
        "started_at",
        "finished_at",
        "completed_at",
        "claimed_at",
        "ended_at",
        "next_run_at",
        "next_retry_at",
        "worker",
        "worker_id",
        "locked_by",
        "locked_at",
        "pid",
        "failure",
        "error",
        "last_error",
        "exit_code",
        "signal",
        "result",
        "cancel_requested",
        "policy",
        "schema",
        "position",
    }
)
"""Keys of the results of jobs, in answers of this and other programs; not part of a request."""

FOREIGN_KEYS = {
    **dict.fromkeys(("cmd", "shell", "script", "exec", "run", "payload", "task"), "command"),
    **dict.fromkeys(("args", "arguments", "command_args"), "argv"),
    **dict.fromkeys(("job_id", "uuid", "key"), "id"),
    **dict.fromkeys(("title", "label", "description"), "name"),
    **dict.fromkeys(("labels", "metadata", "meta"), "tags"),
    **dict.fromkeys(("retries", "max_attempts", "maxretries", "retry"), "max_retries"),
    **dict.fromkeys(("backoff", "base_backoff", "retry_delay"), "backoff_base"),
    **dict.fromkeys(("run_after", "at", "eta", "scheduled_at", "start_at", "when"), "run_at"),
    **dict.fromkeys(("countdown", "in", "wait"), "delay"),
    **dict.fromkeys(("dir", "directory", "workdir", "working_directory", "chdir"), "cwd"),
    **dict.fromkeys(("environment", "environ", "vars"), "env"),
    **dict.fromkeys(("prio", "nice", "weight"), "priority"),
    **dict.fromkeys(("channel", "topic", "lane"), "queue"),
    **dict.fromkeys(("max_runtime", "time_limit", "ttr"), "timeout"),
}
"""Names that other programs use for these keys."""

"""What to type next, as it must be typed for this very queue."""

import re
import shlex

_LINE = r"(?<![\w'\"./-])queuectl (?!to )(?=[a-z])"


def typed(hint: str, db: str | None) -> str:
    """The hint, each `queuectl …` in it with the `--db` that named the queue, where one did."""
    if db is None:
        return hint
    return re.sub(_LINE, lambda _: f"queuectl --db {shlex.quote(db)} ", hint)

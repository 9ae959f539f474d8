"""The planted faults: each breaks one rule and names the tests that must detect it."""

from typing import NamedTuple


class Edit(NamedTuple):
    """A text in a file, and its replacement."""

    file: str
    old: str
    new: str


class Fault(NamedTuple):
    """A change that breaks a rule."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    """The test files of which a test must fail."""


FAULTS = (
    Fault(
        "an id is printed before its commit",
        (
            Edit(
                "queuectl/cli/express.py",
                "        return answer.id if answer.born > before else None\n",
                "        print(answer.id, flush=True)\n        return answer.id\n",
            ),
            Edit("queuectl/cli/express.py", "            print(job_id)\n", "            pass\n"),
        ),
        ("tests/faults/test_syscalls.py",),
    ),
    Fault(
        "a commit is not synced",
        (Edit("eventstore/sqlite/opening.py", "synchronous=FULL", "synchronous=NORMAL"),),
        ("tests/faults/test_power.py",),
    ),
    Fault(
        "no version is checked",
        (
            Edit(
                "eventstore/sqlite/transaction.py",
                "        self._refuse_missing_versions(expected)\n",
                "",
            ),
            Edit(
                "eventstore/appending.py",
                "            raise StreamConflict(stream, version, current)\n",
                "            pass\n",
            ),
        ),
        ("tests/behaviour/store/test_append.py",),
    ),
    Fault(
        "a result is matched by its job alone",
        (
            Edit(
                "queuectl/core/decisions/job.py",
                'return job.state == "processing" and job.attempt == request.attempt'
                " and same_worker",
                'return job.state == "processing"',
            ),
        ),
        ("tests/unit/queuectl/core/decisions/test_job.py",),
    ),
    Fault(
        "only the process group is ended",
        (
            Edit(
                "queuectl/worker/launcher.py",
                '        if sys.platform == "linux":\n            return len(process_sweep',
                "        if False:\n            return len(process_sweep",
            ),
            Edit(
                "queuectl/worker/orphans.py",
                "        return sorted(own)\n",
                "        return []\n",
            ),
        ),
        ("tests/behaviour/worker/test_launcher.py", "tests/faults/test_deaf.py"),
    ),
    Fault(
        "the keeper holds no lock",
        (
            Edit(
                "queuectl/worker/presence.py",
                "        socket.send_fds(self._line, [name], [lock.fileno()])\n",
                "",
            ),
        ),
        ("tests/faults/test_kill.py",),
    ),
    Fault(
        "a timer that is late is dropped",
        (
            Edit(
                "queuectl/worker/timers.py",
                'job_defaults={"misfire_grace_time": None, "coalesce": True},',
                "job_defaults={},",
            ),
        ),
        ("tests/behaviour/worker/test_timers.py",),
    ),
    Fault(
        "a fold reads the clock",
        (
            Edit(
                "projections/folds/job.py",
                '"changed_at_us": at}',
                '"changed_at_us": __import__("time").time_ns() // 1000}',
            ),
        ),
        ("tests/behaviour/test_rebuild.py",),
    ),
    Fault(
        "REPLACE walks past the triggers",
        (
            Edit(
                "eventstore/sqlite/schema.py",
                "WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events)",
                "WHEN NEW.position < 0",
            ),
        ),
        ("tests/behaviour/queue_file/test_changes_from_outside.py",),
    ),
    Fault(
        "a lease is counted from the answer",
        (
            Edit(
                "queuectl/worker/heart.py",
                "        self._confirmed(sent_us)\n        del nonces",
                "        self._confirmed(answered_us)\n        del nonces",
            ),
        ),
        ("tests/unit/queuectl/worker/test_heart.py",),
    ),
    Fault(
        "silence is counted through a gap",
        (Edit("queuectl/worker/lease.py", "is_continuous = gap_us", "is_continuous = 0"),),
        ("tests/unit/queuectl/worker/test_lease.py",),
    ),
    Fault(
        "time is a float",
        (Edit("queuectl/core/clock.py", "time.time_ns() // 1000", "time.time_ns() / 1000"),),
        ("tests/behaviour/test_enqueue.py",),
    ),
)

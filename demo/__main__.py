"""`make demo`: our own files compressed and checksummed as jobs, and what the log tells of it.

Three of the jobs fail once and recover; one can never work and ends as a dead letter.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
PACKAGES = ("eventstore", "projections", "queuectl")
LATE = 3
"""Jobs that find no room at their first attempt."""


def main() -> None:
    """Enqueue, work, and show what happened. The queue stays, for a look at the dashboard."""
    folder = Path(tempfile.mkdtemp(prefix="queuectl-demo-"))
    (folder / "packed").mkdir()
    (folder / "jobs.jsonl").write_text("".join(f"{json.dumps(job)}\n" for job in _jobs(folder)))
    _say("Each of our files becomes a job: compress it, checksum it")
    _run(folder, "queuectl config set backoff-base 1.2", "queuectl config set max-retries 2")
    _run(folder, "queuectl enqueue --file jobs.jsonl | wc -l")
    _say("Four at a time; through a pipe the worker does not tell of every single job")
    _run(folder, "queuectl worker start --count 4 --until-empty 2>&1 | cat", "queuectl status")
    _say("One that found no room at first: it failed, waited and recovered")
    _run(folder, "queuectl history late-1", "queuectl logs late-1")
    _say("One that cannot work: its retries are used up, and it waits for a person")
    _run(folder, "queuectl dlq list", "queuectl logs hopeless")
    _say("The record: every event fits the chain, every view is what the log says")
    _run(folder, "queuectl verify", "queuectl replay --check")
    queuectl = shlex.join([f"{PROGRAMS}/queuectl", "--db", f"{folder}/queue.db"])
    _say("That was all. The queue is kept for you to look at; these lines are yours to type:")
    print("Its pages, at http://127.0.0.1:5000 until Ctrl-C:")
    print(f"  {queuectl} dashboard")
    print("Or at the terminal:")
    print(f"  {queuectl} list --state completed")
    print("And to remove it:")
    print(f"  rm -r {shlex.quote(str(folder))}")


def _jobs(folder: Path) -> Iterator[dict[str, object]]:
    common = {"cwd": str(PROJECT), "env": {"PACKED": str(folder / "packed")}}
    files = sorted(path for name in PACKAGES for path in (PROJECT / name).rglob("*.py"))
    for number, path in enumerate(files):
        source = path.relative_to(PROJECT)
        target = f'"$PACKED"/{shlex.quote(str(source).replace("/", "-"))}.gz'
        work = f"gzip -9c {shlex.quote(str(source))} >{target} && cksum <{target}"
        job: dict[str, object] = {"command": work, "tag": f"package={source.parts[0]}", **common}
        if number < LATE:
            job |= {"id": f"late-{number + 1}", "command": _late(number + 1, work)}
        yield job
    yield {"id": "hopeless", "command": 'gzip -9c film.mkv >"$PACKED"/film.mkv.gz', **common}


def _late(number: int, work: str) -> str:
    """Shell text that makes room and fails, and works when it is run again."""
    room = f'"$PACKED"/room-{number}'
    return f'test -d {room} || {{ mkdir {room}; echo "no room yet" >&2; exit 75; }}; {work}'


def _say(text: str) -> None:
    print(f"\n# {text}", flush=True)


def _run(folder: Path, *lines: str) -> None:
    """Type each line as a person would, in the demo's folder."""
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "QUEUECTL_DB": str(folder / "queue.db")}
    for line in lines:
        print(f"$ {line}", flush=True)
        subprocess.run(["sh", "-c", line], cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main()

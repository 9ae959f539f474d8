"""`make demo`: compress and checksum the project's files as jobs, and show the log of it.

Three of the jobs fail once and recover; one can never succeed and is dead at the end. Then a worker
is killed in the middle of a job, and a byte of a copy of the log is changed.
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
"""The number of jobs that fail once, because there is no room at first."""
INTEGRITY = 5
"""The exit code of `verify` if the log was changed."""


def main() -> None:
    """Enqueue jobs, run them, and show the results. The queue is kept for the dashboard."""
    folder = Path(tempfile.mkdtemp(prefix="queuectl-demo-"))
    (folder / "packed").mkdir()
    (folder / "jobs.jsonl").write_text("".join(f"{json.dumps(job)}\n" for job in _jobs(folder)))
    _say("Each source file becomes a job: compress it, checksum it")
    _run(folder, "queuectl config set backoff-base 1.2", "queuectl config set max-retries 2")
    _run(folder, "queuectl enqueue --file jobs.jsonl | wc -l")
    _say("Four at a time; in a pipe the worker does not report every single job")
    _run(folder, "queuectl worker start --count 4 --until-empty 2>&1 | cat", "queuectl status")
    _say("A job that found no room at first: it failed, waited and recovered")
    _run(folder, "queuectl history late-1", "queuectl logs late-1")
    _say("A job that cannot succeed: its retries are used up, and it waits for a person")
    _run(folder, "queuectl dlq list", "queuectl logs hopeless")
    _kill_a_worker(folder)
    _say("The record: every event fits the chain, every view matches the log")
    _run(folder, "queuectl verify", "queuectl replay --check")
    _change_a_byte(folder)
    _say_what_to_type(folder)


def _kill_a_worker(folder: Path) -> None:
    """Kill keeper and supervisor while a job runs, and show that the job runs again, once."""
    _say("A worker (two processes: keeper and supervisor) is killed in the middle of a job")
    work = 'echo "attempt $QUEUECTL_ATTEMPT"; test "$QUEUECTL_ATTEMPT" -gt 1 || sleep 600'
    _run(folder, f"queuectl enqueue --id long -- {shlex.quote(work)} 2>/dev/null")
    print("$ queuectl worker start &", flush=True)
    environment = _environment(folder)
    worker = subprocess.Popen(
        ["queuectl", "worker", "start"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    pids = _pids_after_start(folder)
    _run(folder, "queuectl list --state processing", f"kill -9 {' '.join(map(str, pids))}")
    worker.wait()
    _say("The next worker ends what the first one left running, and only then runs the job again")
    _run(folder, "queuectl worker start --until-empty 2>&1 | cat", "queuectl history long")


def _pids_after_start(folder: Path) -> list[int]:
    """Wait until the job has started; return the pids of supervisor and keeper."""
    follow = ["queuectl", "logs", "long", "--follow"]
    with subprocess.Popen(
        follow, cwd=folder, env=_environment(folder), stdout=subprocess.PIPE, text=True
    ) as output:
        assert output.stdout is not None
        output.stdout.readline()
        output.terminate()
    listed = subprocess.run(
        ["queuectl", "events", "--type", "worker-started", "--jsonl"],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    started = json.loads(listed.stdout.splitlines()[-1])["data"]
    return [started["pid"], started["keeper_pid"]]


def _change_a_byte(folder: Path) -> None:
    """Forge an exit code in a copy of the log."""
    _say("One byte of a copy is changed: a job now seems to have failed with another exit code")
    _run(folder, "queuectl backup copy.db >copy.head")
    _run(folder, """LC_ALL=C sed -i '0,/"exit_code":75/s//"exit_code":76/' copy.db""")
    _run(folder, "queuectl --db copy.db verify", code=INTEGRITY)


def _say_what_to_type(folder: Path) -> None:
    queuectl = shlex.join([f"{PROGRAMS}/queuectl", "--db", f"{folder}/queue.db"])
    _say("That was all. The queue is kept for you; type these lines to look at it:")
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
    """Return shell text that makes room and fails, and succeeds when it is run again."""
    room = f'"$PACKED"/room-{number}'
    return f'test -d {room} || {{ mkdir {room}; echo "no room yet" >&2; exit 75; }}; {work}'


def _say(text: str) -> None:
    print(f"\n# {text}", flush=True)


def _run(folder: Path, *lines: str, code: int = 0) -> None:
    """Run each line in the folder of the demo, as typed. Exits if its exit code is not `code`."""
    for line in lines:
        print(f"$ {line}", flush=True)
        done = subprocess.run(["sh", "-c", line], cwd=folder, env=_environment(folder), check=False)
        if done.returncode != code:
            sys.exit(f"demo: exit code {done.returncode} instead of {code}: {line}")


def _environment(folder: Path) -> dict[str, str]:
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "QUEUECTL_DB": str(folder / "queue.db")}


if __name__ == "__main__":
    main()

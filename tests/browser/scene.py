"""A queue with a history for the pages to show, made by the real rules with a simulated clock.

`python -m tests.browser.scene FILE` writes such a queue to FILE.
"""

import random
import sys
import time
from pathlib import Path

from eventstore.events.job import Usage
from eventstore.events.worker import WorkerStarted
from eventstore.lock import Lock
from queuectl.api import Queue
from queuectl.core.requests import Claim, ComeDue, EndWorker, Finish, Outcome, StartWorker
from queuectl.worker.liveness import lock_names
from tests.unsynced import unsynced

MINUTE_US = 60_000_000

COMMANDS = (
    ("encodes", "ffmpeg -i holiday-{n:03d}.mov -c:v libsvtav1 -crf 32 holiday-{n:03d}.mkv", 41),
    ("encodes", "opusenc --bitrate 96 talk-{n:03d}.wav talk-{n:03d}.opus", 6),
    ("backups", "restic backup --tag nightly /srv/photos/{n}", 12),
    ("default", "python train.py --config runs/resnet-{n}.toml --resume", 55),
    ("default", "make -C site build && rsync -a site/public/ web:/srv/www/", 9),
    ("imports", "psql warehouse -f import/part-{n:04d}.sql", 3),
    ("default", "sha256sum --check /srv/archive/{n}.sums", 1),
)

OUTPUT = """\
\x1b[1mepoch 12/40\x1b[0m  loss \x1b[33m0.3121\x1b[0m  acc \x1b[32m0.914\x1b[0m  41.2 s
\x1b[1mepoch 13/40\x1b[0m  loss \x1b[33m0.3077\x1b[0m  acc \x1b[32m0.917\x1b[0m  40.8 s
\x1b[1mepoch 14/40\x1b[0m  loss \x1b[31mnan\x1b[0m     acc \x1b[31m0.100\x1b[0m  40.9 s
\x1b[31mTraceback (most recent call last):\x1b[0m
  File "train.py", line 212, in <module>
    trainer.run(epochs=40)
  File "train.py", line 148, in run
    raise FloatingPointError("loss is not finite")
\x1b[1;31mFloatingPointError\x1b[0m: loss is not finite
"""


class Scene:
    """A queue whose clock the caller sets."""

    def __init__(self, path: Path, started_us: int) -> None:
        self.now_us = started_us
        self.queue = unsynced(Queue(path, actor="anna@workshop", clock=self))
        self.draw = random.Random(7)
        self.locks: dict[str, Lock] = {}

    def wall_us(self) -> int:
        """Return the scene's time, UTC in microseconds."""
        return self.now_us

    def monotonic_us(self) -> int:
        """Return the same time."""
        return self.now_us

    def after(self, us: float) -> None:
        """Advance the clock."""
        self.now_us += int(us)

    def worker(self, worker_id: str, slots: int, name: str = "") -> None:
        """Record the start of a worker that is alive: its lock is held."""
        started = WorkerStarted(
            name=name,
            host="workshop",
            boot_id="b",
            pid=4000 + int(worker_id, 16) % 999,
            pid_started=1,
            keeper_pid=3999,
            keeper_pid_started=1,
            slots=slots,
            token="t",
            version="0.1.0",
        )
        self.queue.send(StartWorker(worker_id=worker_id, started=started))
        self.locks[worker_id] = self.queue.store.lock(lock_names(worker_id)[0])
        assert self.locks[worker_id].acquire()

    def dies(self, worker_id: str) -> None:
        """A supervisor is killed, and its keeper with it."""
        self.locks.pop(worker_id).release()

    def ends(self, worker_id: str) -> None:
        """Record the orderly end of a worker."""
        self.dies(worker_id)
        self.queue.send(EndWorker(worker_id=worker_id, reason="drained"))

    def claim(self, job_id: str, worker: str = "3f2a", slot: int = 1) -> None:
        """Claim the job for a worker."""
        with self.queue.write(worker) as session:
            session.send(Claim(job_id=job_id, worker=worker, slot=slot, at_us=session.at_us))

    def finish(
        self, job_id: str, code: int = 0, seconds: float = 1.0, output: str = "", **how: object
    ) -> None:
        """End the running attempt after `seconds`."""
        self.after(seconds * 1e6)
        attempt = self.queue.get(job_id).attempt
        data = output.encode()
        usage = Usage(
            duration_us=int(seconds * 1e6),
            cpu_us=int(seconds * 0.83e6),
            memory_bytes=self.draw.randrange(8_000_000, 900_000_000),
            output_bytes=len(data),
            kept_bytes=len(data),
        )
        outcome = Outcome(**({"ended": "exit", "exit_code": code, "usage": usage} | how))  # type: ignore[arg-type]
        with self.queue.write("3f2a") as session:
            session.keep_output(job_id, attempt, len(data), data)
            session.send(
                Finish(
                    job_id=job_id, attempt=attempt, outcome=outcome, jitter=0.5, at_us=session.at_us
                )
            )

    def come_due(self, job_id: str) -> None:
        """Advance the clock to the retry and requeue the job as the timer does."""
        self.now_us = max(self.now_us, self.queue.get(job_id).due_at_us or 0) + 800
        with self.queue.write("timer") as session:
            session.send(ComeDue(job_id=job_id, at_us=session.at_us))


def busy_hour(path: Path) -> Scene:
    """Return a scene with an hour of mixed work up to now, and jobs in every state."""
    scene = Scene(path, time.time_ns() // 1000 - 57 * MINUTE_US)
    scene.worker("0c91", 2)
    scene.worker("3f2a", 4, "workshop")
    story(scene)
    end = time.time_ns() // 1000
    while scene.now_us < end - 25_000_000:
        _run_random_job(scene)
    scene.ends("0c91")
    _add_open_jobs(scene)
    return scene


def story(scene: Scene) -> str:
    """Run a job that fails three times until it is dead; return its id."""
    job = scene.queue.enqueue(
        "python train.py --config runs/resnet-50.toml --resume",
        name="nightly training",
        max_retries=2,
        backoff_base=4,
        tags={"model": "resnet-50", "team": "vision"},
        timeout="2h",
        cwd="/srv/training",
    )
    scene.after(900_000)
    for code, seconds in ((1, 38.0), (1, 36.2), (137, 12.4)):
        scene.claim(job.id)
        scene.finish(job.id, code, seconds, OUTPUT)
        if scene.queue.get(job.id).state == "failed":
            scene.come_due(job.id)
            scene.after(120_000)
    return job.id


def _run_random_job(scene: Scene) -> None:
    number = scene.draw.randrange(1, 400)
    queue, command, seconds = scene.draw.choice(COMMANDS)
    burst = 6 if scene.draw.random() < 0.06 else 1
    for _ in range(burst):
        job = scene.queue.enqueue(command.format(n=number), queue=queue, max_retries=3)
        scene.after(scene.draw.expovariate(1 / 400_000))
        scene.claim(job.id, slot=scene.draw.randrange(1, 5))
        fails = scene.draw.random() < 0.13
        took = scene.draw.uniform(0.05, 0.25) * seconds
        scene.finish(job.id, 1 if fails else 0, took, "done\n")
        if fails:
            scene.come_due(job.id)
            scene.claim(job.id)
            scene.finish(job.id, 0, took * 0.7, "done\n")
    scene.after(scene.draw.expovariate(1 / 9_000_000))


def _add_open_jobs(scene: Scene) -> None:
    queue = scene.queue
    gone = queue.enqueue("restic prune --max-unused 5%", queue="backups", backoff_base=540)
    scene.claim(gone.id)
    scene.finish(gone.id, 3, 0.4, "Fatal: unable to open repository: no route to host\n")
    late = queue.enqueue("psql warehouse -f import/part-0412.sql", queue="imports", max_retries=0)
    scene.claim(late.id)
    scene.finish(late.id, 2, 0.9, 'ERROR:  relation "orders_2026" does not exist\n')
    dropped = queue.enqueue("python train.py --config runs/vit-huge.toml", priority=5)
    queue.cancel(dropped.id, "wrong dataset")
    queue.enqueue("certbot renew --quiet", delay="6h", name="certificates")
    for slot, number in enumerate((17, 18, 21), 1):
        job = queue.enqueue(
            f"ffmpeg -i holiday-{number:03d}.mov -c:v libsvtav1 holiday-{number:03d}.mkv",
            queue="encodes",
            tags={"album": "holiday"},
        )
        scene.after(40_000)
        scene.claim(job.id, slot=slot)
    for number in range(22, 27):
        scene.after(150_000)
        queue.enqueue(
            f"ffmpeg -i holiday-{number:03d}.mov -c:v libsvtav1 holiday-{number:03d}.mkv",
            queue="encodes",
            tags={"album": "holiday"},
        )


if __name__ == "__main__":
    busy_hour(Path(sys.argv[1]).resolve())

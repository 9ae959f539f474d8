"""Three hosts share a queue on a server: what their people see. `pytest -s` prints transcripts."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed")

from eventstore.location import create_on_server
from projections.registry import first_schema
from tests.ctl import Running, until
from tests.hosts import Host, Machines, machines, missing_for_hosts
from tests.postgres import installations
from tests.torture.crowd import overlaps

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not installations(), reason="no PostgreSQL server is installed"),
    pytest.mark.skipif(missing_for_hosts() is not None, reason=f"lacks {missing_for_hosts()}"),
]

SOON_S = 2.0
"""A line of a job arrives on another host within this time, on a busy machine."""

BURSTS = 16
"""Each of 1,000 lines, 6 or 7 kB, twice per second."""
KEPT = 65_536
"""Bytes of an output that are kept: its beginning and its end. So what was printed 32 kB earlier
reaches another host only if it was sent before.
"""


class Site:
    """Three hosts, their queue, and the transcript of what was typed and printed."""

    def __init__(self, all_: Machines, queue: str) -> None:
        create_on_server(all_.server.url(queue), first_schema)
        self.server, self.hosts, self.url = all_.server, all_.hosts, all_.url(queue)
        self._workers: list[Running] = []
        self._began_s = time.monotonic()
        print(f"\n### {queue}")

    def note(self, text: str) -> None:
        """Write a line of the transcript, with the seconds since its begin."""
        print(f"{time.monotonic() - self._began_s:6.1f} s  {text}", flush=True)

    def run(self, host: Host, *words: str) -> str:
        """Run a command on a host, and write it and its output into the transcript."""
        self.note(f"{host.name}$ queuectl {' '.join(words)}")
        out = host.run(self.url, *words)
        for line in out.splitlines():
            self.note(f"  {line}")
        return out

    def start(self, host: Host, *words: str) -> Running:
        """Start a command on a host, and write it into the transcript."""
        self.note(f"{host.name}$ queuectl {' '.join(words)} &")
        running = host.start(self.url, *words)
        self._workers.append(running)
        return running

    def worker(self, host: Host, *words: str) -> Running:
        """Start a worker on a host, and wait until it is ready."""
        worker = self.start(host, "worker", "start", *words)
        worker.says("at a time")
        return worker

    def end(self) -> None:
        """Kill what was started."""
        for host in self.hosts:
            for pid in host.processes():
                os.kill(pid, SIGKILL)
        for running in self._workers:
            running.process.kill()


@pytest.fixture(scope="module")
def all_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("hosts")
    with machines(next(iter(installations())), folder, ("anna", "ben", "cleo")) as all_:
        yield all_


@pytest.fixture
def site(all_: Machines, request: pytest.FixtureRequest) -> Iterator[Site]:
    site = Site(all_, request.node.name.removeprefix("test_")[:60])
    yield site
    site.end()


def test_output_is_followed_on_another_host_line_by_line(site: Site) -> None:
    here, elsewhere, third = site.hosts
    worker = site.worker(here)
    command = (
        "for n in 1 2 3 4 5 6 7 8; do date +%s.%N; sleep 0.5; done;"
        f" for n in $(seq {BURSTS}); do seq ${{n}}0001 ${{n}}1000; sleep 0.5; done; echo the end"
    )
    job = site.run(third, "enqueue", "--output-limit", str(KEPT), "--", command).strip()
    followed = site.start(elsewhere, "logs", "-f", job)
    late_s = []
    for number in range(8):
        until(lambda n=number: len(followed.out) > n or None, "a line")  # type: ignore[misc]
        line = followed.out[number]
        late_s.append(time.time() - float(line))
        if number:
            site.note(f"  {line}  ({late_s[-1]:.2f} s after it was printed)")
    followed.says("the end")
    result = followed.ends()
    lines = result.out.splitlines()
    site.note(f"  {lines[8]} … {lines[-2]}: {len(lines) - 9:,} lines")
    site.note(f"  {lines[-1]}")
    numbers = [str(n * 10_000 + k) for n in range(1, BURSTS + 1) for k in range(1, 1_001)]
    assert lines[8:] == [*numbers, "the end"]
    assert max(late_s[1:]) < SOON_S
    site.run(elsewhere, "history", job)
    kept = elsewhere.run(site.url, "logs", job)
    site.note(f"{elsewhere.name}$ queuectl logs {job}: {len(kept):,} bytes of {len(result.out):,}")
    assert worker.process.poll() is None


def test_host_that_was_cut_off_ends_its_jobs_and_works_again(site: Site) -> None:
    first, second, third = site.hosts
    site.run(third, "config", "set", "lease", "10s")
    worker = site.worker(first, "-v")
    marks = first.folder.parent / "marks-cut-off"
    mark = f"$QUEUECTL_JOB $QUEUECTL_ATTEMPT >> {marks}"
    command = f"echo begin {mark}; [ $QUEUECTL_ATTEMPT -gt 1 ] || sleep 600; echo end {mark}"
    job = site.run(third, "enqueue", "--name", "nightly", "--", command).strip()
    until(lambda: marks.exists() or None, "the first attempt")
    other = site.worker(second, "-v")
    site.note(f"- the network of {first.name} fails")
    first.cut_off()
    worker.says("jobs")
    until(lambda: "end" in marks.read_text() or None, "the second attempt")
    site.note(f"- {second.name} runs the job again")
    first.reconnect()
    site.note(f"- the network of {first.name} is back")
    site.run(third, "wait", job)
    second_job = site.run(third, "enqueue", "--", "sleep 1").strip()
    until(lambda: _greetings(worker) > 1 or None, "the new worker of the first host")
    site.run(third, "wait", second_job)
    site.run(third, "history", job)
    site.run(third, "worker", "list", "--all")
    for host, running in ((first, worker), (second, other)):
        site.note(f"- the worker of {host.name} has said:")
        for line in running.err:
            site.note(f"  {line}")


def _greetings(worker: Running) -> int:
    return sum("at a time" in line for line in worker.err)


def test_server_that_restarts_under_load_loses_nothing(site: Site, tmp_path: Path) -> None:
    workers = {host: site.worker(host, "--count", "2") for host in site.hosts}
    marks = tmp_path / "marks"
    mark = f"$QUEUECTL_JOB $QUEUECTL_ATTEMPT >> {marks}"
    file = tmp_path / "jobs"
    file.write_text(f'{{"command": "echo begin {mark}; sleep 0.2; echo end {mark}"}}\n' * 300)
    out = site.hosts[0].run(site.url, "enqueue", "--file", str(file))
    site.note(f"{site.hosts[0].name}$ queuectl enqueue --file jobs  ({len(out.split())} ids)")
    for begun in (60, 160):
        until(lambda n=begun: _begun(marks) >= n or None, "jobs")  # type: ignore[misc]
        site.note(f"$ pg_ctl restart  ({_begun(marks)} jobs have begun)")
        site.server.restart()
        site.note("- the server accepts connections again")
    site.note(f"{site.hosts[1].name}$ queuectl wait --all")
    site.hosts[1].run(site.url, "wait", "--all")
    site.run(site.hosts[1], "status")
    site.run(site.hosts[2], "verify")
    site.run(site.hosts[2], "replay", "--check")
    for host, worker in workers.items():
        os.kill(host.workers()[0], SIGINT)
        result = worker.ends()
        site.note(f"- the worker of {host.name} has said:")
        for line in result.err.splitlines():
            site.note(f"  {line}")
        assert result.code == 0
    assert _begun(marks) == 300
    assert list(overlaps([marks])) == []


def _begun(marks: Path) -> int:
    return marks.read_text().count("begin") if marks.exists() else 0

"""Starting, reaping and ending real processes."""

import ctypes
import os
import resource
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from queuectl.worker.keeper import PR_SET_CHILD_SUBREAPER, adopt_orphans
from queuectl.worker.launcher import Child, ChildExit, OsLauncher
from queuectl.worker.mounts import Mounts
from queuectl.worker.order import Exhausted, NotStarted, Order
from queuectl.worker.process_mark import VARIABLE, mark_of
from queuectl.worker.process_sweep import survivors
from tests.ctl import until
from tests.shapes import SHAPES, complete, in_folder

TOKEN = uuid4().hex
PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def launcher() -> Iterator[OsLauncher]:
    adopt_orphans()
    yield OsLauncher()
    os.chdir("/")
    # Otherwise the orphans of all later tests would become zombies of this process.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def order(
    command: str = "",
    *argv: str,
    cwd: Path | str = "/",
    path: str = PATH,
    attempt: int = 1,
    **env: str,
) -> Order:
    mark = mark_of("1:2", TOKEN, "1", attempt)
    return Order(command, argv or None, str(cwd), {"PATH": path, **env}, mark)


def begin(launcher: OsLauncher, request: Order) -> Child:
    child = launcher.start(request)
    assert isinstance(child, Child), child
    return child


def ended(launcher: OsLauncher, child: Child) -> ChildExit:
    exits: dict[int, ChildExit] = {}

    def reaped() -> ChildExit | None:
        exits.update((exit_.pid, exit_) for exit_ in launcher.reap())
        return exits.get(child.pid)

    return until(reaped, "the child's end")


def clear(launcher: OsLauncher, request: Order) -> None:
    """Kill the orphans of an ended job."""

    def clean() -> bool | None:
        launcher.reap()
        pids = launcher.orphans(request.mark)
        launcher.kill(pids)
        return None if pids else True

    until(clean, "no orphan is left")


def printed(child: Child) -> bytes:
    assert child.output is not None
    text = b""
    while True:
        select.select([child.output], [], [])
        chunk = os.read(child.output, 65536)
        if not chunk:
            os.close(child.output)
            return text
        text += chunk


def output_of(launcher: OsLauncher, request: Order) -> str:
    child = begin(launcher, request)
    text = printed(child).decode()
    ended(launcher, child)
    return text


def test_exit_code_and_signal_are_reported_separately(launcher: OsLauncher) -> None:
    bad = ended(launcher, begin(launcher, order("exit 200")))
    assert (bad.exit_code, bad.signal) == (200, None)
    killed = ended(launcher, begin(launcher, order("kill -9 $$")))
    assert (killed.exit_code, killed.signal) == (None, signal.SIGKILL)


def test_stdout_and_stderr_are_one_pipe_in_true_order(launcher: OsLauncher) -> None:
    text = output_of(launcher, order("echo 1; echo 2 >&2; echo 3; echo 4 > /dev/stderr; echo 5"))
    assert text == "1\n2\n3\n4\n5\n"


def test_job_waits_when_its_output_is_not_read(launcher: OsLauncher) -> None:
    assert len(output_of(launcher, order("head -c 1000000 /dev/zero"))) == 1_000_000


def test_stdin_is_at_its_end(launcher: OsLauncher) -> None:
    assert output_of(launcher, order("cat; echo done")) == "done\n"


def test_job_inherits_no_descriptor_of_the_worker(launcher: OsLauncher) -> None:
    for descriptor in os.listdir("/proc/self/fd"):  # descriptors that the tests have inherited
        if int(descriptor) > 2 and os.path.exists(f"/proc/self/fd/{descriptor}"):
            os.set_inheritable(int(descriptor), False)
    assert (
        output_of(launcher, order("ls /proc/self/fd | wc -l; ls -l /proc/self/fd/3")).split()[0]
        == "4"
    )


def test_job_leads_a_session_with_default_signals(launcher: OsLauncher) -> None:
    program = (
        "import os, signal; print(os.getsid(0) == os.getpid(), signal.pthread_sigmask(0, ()),"
        " [s.name for s in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGTTOU)"
        " if signal.getsignal(s) != signal.SIG_DFL])"
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    ignored = [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGQUIT, signal.SIGTTOU)]
    try:
        text = output_of(OsLauncher(), order("", sys.executable, "-c", program))
        assert text == "True set() []\n"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in zip((signal.SIGQUIT, signal.SIGTTOU), ignored, strict=True):
            signal.signal(number, handler)


def test_environment_is_the_workers_with_the_jobs_variables_and_the_mark(
    launcher: OsLauncher,
) -> None:
    request = order("env", GREETING="hallo wörld", HOME="/elsewhere")
    lines = output_of(launcher, request).splitlines()
    assert {"GREETING=hallo wörld", "HOME=/elsewhere", f"PATH={PATH}"} <= set(lines)
    assert f"{VARIABLE}={request.mark.cookie}" in lines
    own = {"PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_", "PYTEST_CURRENT_TEST"}
    others = {f"{name}={value}" for name, value in os.environ.items() if name not in own}
    assert {line for line in others if "\n" not in line} <= set(lines)


def test_program_is_searched_in_the_jobs_path_and_directory(
    launcher: OsLauncher, tmp_path: Path
) -> None:
    for folder, text in (("bin", "by path"), (".", "in directory")):
        script = tmp_path / folder / "tool"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\necho {text} $1\n")
        script.chmod(0o755)
    assert (
        output_of(launcher, order("", "tool", "1", cwd=tmp_path, path="bin:/bin")) == "by path 1\n"
    )
    assert (
        output_of(launcher, order("", "tool", "2", cwd=tmp_path, path="/bin:"))
        == "in directory 2\n"
    )
    assert output_of(launcher, order("", "./tool", "3", cwd=tmp_path)) == "in directory 3\n"
    assert output_of(launcher, order("pwd", cwd=tmp_path)) == f"{tmp_path}\n"
    assert os.getcwd() == "/"


def unstartable(tmp_path: Path) -> dict[str, Order]:
    """Return orders that cannot be started, by a name of the problem."""

    def script(name: str, text: str, mode: int) -> str:
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
        return str(tmp_path / name)

    plain = script("plain", "echo", stat.S_IRUSR)
    bare = script("bare", "no first line", 0o755)
    lost = script("lost", "#!/nowhere/sh\n", 0o755)
    return {
        "nothing at all": order("", "no-such-program"),
        "no such file": order("", str(tmp_path / "missing")),
        "a folder": order("", str(tmp_path)),
        "not executable": order("", plain),
        "no program": order("", bare),
        "lost interpreter": order("", lost),
        "no directory": order("true", cwd=tmp_path / "gone"),
        "file as directory": order("true", cwd=plain),
        "too long": order("", "true", "x" * 200_000),
    }


REASONS = {
    "nothing at all": "not-found",
    "no such file": "not-found",
    "a folder": "not-executable",
    "not executable": "not-executable",
    "no program": "not-executable",
    "lost interpreter": "not-found",
    "no directory": "no-directory",
    "file as directory": "no-directory",
    "too long": "launch",
}


def test_the_reason_of_a_failed_start_is_reported(launcher: OsLauncher, tmp_path: Path) -> None:
    refusals = {what: launcher.start(request) for what, request in unstartable(tmp_path).items()}
    reasons = {
        what: start.reason for what, start in refusals.items() if isinstance(start, NotStarted)
    }
    assert reasons == REASONS
    assert "interpreter" in str(refusals["lost interpreter"])
    assert "too long" in str(refusals["too long"])


def test_forked_child_reports_the_same_reasons(
    launcher: OsLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = unstartable(tmp_path)
    directly = {what: launcher.start(request) for what, request in orders.items()}
    monkeypatch.setattr(Mounts, "local", lambda self, *paths: False)
    forked = {what: ended(launcher, begin(launcher, request)) for what, request in orders.items()}
    assert {what: exit_.refusal for what, exit_ in forked.items()} == directly


def test_program_runs_the_same_in_a_forked_child(
    launcher: OsLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "env; pwd; ulimit -a; cat /proc/self/cmdline; trap"
    command += "; grep -E '^Sig(Blk|Cgt)' /proc/self/status; ps -o sid= -p $$ | wc -l"
    request = order(command, cwd=tmp_path)
    directly = output_of(launcher, request)
    monkeypatch.setattr(Mounts, "local", lambda self, *paths: False)
    assert output_of(launcher, request) == directly
    assert ended(launcher, begin(launcher, order("exit 5"))).exit_code == 5


def test_lack_of_descriptors_is_not_the_jobs_fault(launcher: OsLauncher) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        assert isinstance(launcher.start(order("true")), Exhausted)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert output_of(launcher, order("echo again")) == "again\n"


def test_cpu_time_is_of_the_whole_job(launcher: OsLauncher) -> None:
    spent = ended(
        launcher,
        begin(launcher, order("sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'")),
    )
    assert 10_000 < spent.cpu_us < 30_000_000


def test_memory_is_reported_only_above_the_launchers_own(launcher: OsLauncher) -> None:
    small = ended(launcher, begin(launcher, order("true")))
    assert small.memory_bytes is None
    assert small.memory_below_bytes is not None
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    program = f"b'x' * {own * 2}"
    large = ended(launcher, begin(launcher, order("", sys.executable, "-c", program)))
    assert large.memory_bytes is not None
    assert large.memory_bytes > own * 2
    assert large.memory_below_bytes is None


def test_limits_of_the_worker_do_not_change(launcher: OsLauncher) -> None:
    before = [resource.getrlimit(number) for number in range(16)]
    output_of(launcher, order("true"))
    assert [resource.getrlimit(number) for number in range(16)] == before


@pytest.mark.parametrize("shape", SHAPES)
def test_orphans_of_an_ended_job_are_found_and_ended(
    shape: str, launcher: OsLauncher, tmp_path: Path
) -> None:
    other = order("sleep 60", attempt=2, cwd=tmp_path)
    bystander = begin(launcher, other)
    request = order(SHAPES[shape], cwd=tmp_path / "job")
    (tmp_path / "job").mkdir()
    child = begin(launcher, request)
    until(lambda: complete(shape, tmp_path / "job"), "the whole job")
    os.kill(child.pid, signal.SIGKILL)
    ended(launcher, child)
    clear(launcher, request)
    assert in_folder(tmp_path / "job") == []
    assert survivors([other.mark]) != []
    assert launcher.send([other.mark], signal.SIGKILL) >= 1
    ended(launcher, bystander)
    clear(launcher, other)


def test_closed_standard_descriptors_do_no_harm() -> None:
    program = f"""
import os, sys
from queuectl.worker.keeper import keep
from queuectl.worker.launcher import Child, OsLauncher
from queuectl.worker.order import Order
from queuectl.worker.process_mark import mark_of
def supervise(line, before, kept_limit):
    launcher = OsLauncher()
    mark = mark_of("1:2", {TOKEN!r}, "closed", 1)
    child = launcher.start(Order("echo out; echo err >&2; cat", None, "/", {{}}, mark))
    os.waitpid(child.pid, 0)
    os._exit(0 if os.read(child.output, 100) == b"out\\nerr\\n" else 9)
sys.exit(keep(supervise))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], preexec_fn=lambda: os.closerange(0, 3), check=False
    )
    # The keeper has no output stream either: only its exit code shows the result.
    assert done.returncode == 0


def by_the_shell(launcher: OsLauncher, request: Order) -> str:
    """Return the output of the same command if a shell starts it."""
    return output_of(launcher, request._replace(command=f"{request.command};"))


@pytest.mark.parametrize("pwd", ["", "/nowhere", "{here}", "{link}", "relative"])
def test_program_runs_the_same_without_a_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pwd: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("here")
    pwd = pwd.format(here=tmp_path / "here", link=tmp_path / "link")
    monkeypatch.setenv("not-a-name", "dropped")
    monkeypatch.setenv("OLDPWD", "/tmp")
    monkeypatch.delenv("PWD", raising=False)
    given = {"PWD": pwd} if pwd else {}
    launcher = OsLauncher()
    for command in ("env", "sh -c ulimit", "readlink /proc/self/fd/0", "cat /proc/self/cmdline"):
        request = order(command, cwd=tmp_path / "link")
        request = request._replace(env={**request.env, **given})
        plainly, shell = output_of(launcher, request), by_the_shell(launcher, request)
        assert sorted(plainly.splitlines()) == sorted(shell.splitlines())


@pytest.mark.parametrize(
    "command", ["nowhere-to-be-found a", "./data", "/etc/hostname", "./folder"]
)
def test_a_command_that_cannot_be_started_gets_the_shells_error(
    launcher: OsLauncher, tmp_path: Path, command: str
) -> None:
    (tmp_path / "data").write_text("echo I am a script without a first line\n")
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "folder").mkdir()
    request = order(command, cwd=tmp_path)
    assert output_of(launcher, request) == by_the_shell(launcher, request) != ""


def test_program_added_earlier_in_the_path_is_used(launcher: OsLauncher, tmp_path: Path) -> None:
    request = order("which-one", path=f"{tmp_path / 'first'}:{tmp_path / 'second'}:{PATH}")
    for folder in ("second", "first"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "which-one").write_text(f"#!/bin/sh\necho {folder}\n")
        (tmp_path / folder / "which-one").chmod(0o755)
        assert output_of(launcher, request) == f"{folder}\n"

"""The options of `dashboard`: token, prefix and trusted host names."""

import json
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from queuectl.api import Queue
from queuectl.dashboard import addresses
from tests.ctl import PROGRAM, Ctl, Running
from tests.served import Served

BEARER = {"Authorization": "Bearer sesame seed"}


def started(running: Running) -> Served:
    address = running.says(" at http://").partition(" at ")[2].split(" ")[0]
    return Served(address, running)


@contextmanager
def dashboard(ctl: Ctl, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Run `queuectl dashboard OPTIONS` on a free port during the block."""
    with ctl.running("dashboard", "--port", "0", *options, env=env) as running:
        yield started(running)


def requires_token(server: Served) -> bool:
    """Return whether the pages can be read only with the token."""
    return (server.ask("/").status, server.ask("/", **BEARER).status) == (401, 200)


def test_token_comes_from_the_environment(ctl: Ctl) -> None:
    with dashboard(ctl, env={"QUEUECTL_TOKEN": "sesame seed"}) as server:
        assert requires_token(server)


def test_token_comes_from_a_file(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame seed\n")
    with dashboard(ctl, "--token-file", str(tmp_path / "token")) as server:
        assert requires_token(server)


def test_token_comes_from_stdin(tmp_path: Path) -> None:
    Queue(tmp_path / "queue.db").close()
    arguments = ("--db", str(tmp_path / "queue.db"), "dashboard", "--port", "0", "--token", "-")
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("sesame seed\n")
    process.stdin.close()
    running = Running(process)
    try:
        assert requires_token(started(running))
        command_line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"sesame" not in command_line
    finally:
        running.end()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--token", ""), "the token is empty"),
        (("--token", "  "), "the token is empty"),
        (("--token-file", "none"), "No such file or directory"),
        (("--token-file", "empty"), "the token is empty"),
        (("--token-file", "raw"), "not UTF-8"),
        (("--token", "a", "--token-file", "empty"), "not both"),
        (("--prefix", "/queue?x"), "is not a path such as /queue"),
        (("--prefix", "../queue"), "is not a path such as /queue"),
        (("--prefix", "a b"), "is not a path such as /queue"),
        (("--trust-host", "https://box/queue"), "is not a host name"),
        (("--trust-host", "box:port"), "is not a host name"),
        (("--trust-host", "user@box"), "is not a host name"),
        (("--trust-host", ""), "is not a host name"),
    ],
)
def test_invalid_options_are_refused(
    ctl: Ctl,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "raw").write_bytes(b"\xff\xfe\xfd")
    answer = ctl("dashboard", "--port", "0", *arguments, code=2)
    assert words in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("typed", ["queue", "/queue", "/queue/", "queue/", "//queue//", " queue "])
def test_prefix_is_normalised(typed: str) -> None:
    assert addresses.prefix(typed) == "/queue"


def test_prefix_may_be_empty_or_have_several_parts() -> None:
    assert addresses.prefix("/") == addresses.prefix("") == ""
    assert addresses.prefix("tools/queue/") == "/tools/queue"


@pytest.mark.parametrize("typed", ["queue/", "/"])
def test_printed_address_can_be_opened(ctl: Ctl, typed: str) -> None:
    with dashboard(ctl, "--prefix", typed) as server:
        path = "/queue" if "queue" in typed else ""
        assert server.address == f"http://127.0.0.1:{server.port}{path}"
        assert json.loads(server.ask(f"{path}/status.json").text)["schema"] == 1
        assert f'href="{path}/jobs"' in server.ask(f"{path}/").text


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Queue.Example.org", "queue.example.org"),
        ("queue.example.org:8443", "queue.example.org"),
        ("https://queue.example.org", "queue.example.org"),
        ("https://queue.example.org:8443/", "queue.example.org"),
        ("::1", "[::1]"),
        ("[fe80::1]:80", "[fe80::1]"),
        ("http://[fe80::1]:80", "[fe80::1]"),
        ("box_2", "box_2"),
    ],
)
def test_trusted_host_is_normalised(typed: str, name: str) -> None:
    assert addresses.host_name(typed) == name


def test_trusted_host_may_be_an_address(ctl: Ctl) -> None:
    with dashboard(ctl, "--trust-host", "https://queue.example.org:8443") as server:
        assert server.ask("/", Host="queue.example.org:8443").status == 200
        assert server.ask("/", Host="evil.example").status == 400


def test_help_warns_that_a_typed_token_is_visible(ctl: Ctl) -> None:
    text = " ".join(ctl("dashboard", "--help").out.split())
    assert "QUEUECTL_TOKEN" in text
    assert "process list" in text


def test_token_file_may_be_private(ctl: Ctl, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("sesame seed")
    token.chmod(stat.S_IRUSR)
    with dashboard(ctl, "--token-file", str(token)) as server:
        assert requires_token(server)


def test_token_is_not_written_to_a_log(ctl: Ctl) -> None:
    with ctl.running("dashboard", "--port", "0", env={"QUEUECTL_TOKEN": "sesame"}) as running:
        assert running.says("visitors are asked for the access token")
        assert "sesame" not in "".join(running.err)


def test_a_dashboard_on_all_addresses_says_so(ctl: Ctl) -> None:
    ctl("enqueue", "--", "true")
    words = ("--host", "0.0.0.0", "--port", "0", "--token", "long random")
    with ctl.running("dashboard", *words) as server:
        server.says("/, on all addresses of this machine (Ctrl-C stops it)")

"""Where the output goes: a pipe that closes, a full disk, nowhere; any locale."""

import subprocess

import pytest

from tests.ctl import PROGRAM, Ctl

QUEUECTL = " ".join(PROGRAM)


def shell(ctl: Ctl, line: str) -> "subprocess.CompletedProcess[str]":
    """A line typed to bash, `queuectl` in it being the program."""
    return subprocess.run(
        ["bash", "-c", f'queuectl() {{ {QUEUECTL} "$@"; }}\nset -o pipefail\n{line}'],
        env=ctl.env,
        cwd=ctl.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def filled(ctl: Ctl) -> Ctl:
    """A queue with more to say than a pipe holds."""
    lines = "".join('{"command": "echo %s"}\n' % ("x" * 200) for _ in range(2_000))
    ctl("enqueue", "--file", "-", stdin=lines)
    return ctl


@pytest.mark.parametrize("words", ["list --all", "list --all --jsonl", "events", "events --jsonl"])
def test_head_ends_a_list_quietly(filled: Ctl, words: str) -> None:
    done = shell(filled, f"queuectl {words} | head -1")
    assert (done.stderr, done.returncode) == ("", 141)
    assert done.stdout.count("\n") == 1


def test_a_closed_stdout_is_no_error(ctl: Ctl) -> None:
    for words in ("enqueue -- true", "list", "status", "history 1", "status --json"):
        done = shell(ctl, f"queuectl {words} >&-")
        assert (done.returncode, "rror" in done.stderr) == (0, False)
    assert ctl("list").jobs == ["1"]


def test_closed_descriptors_do_not_become_the_queue_file(ctl: Ctl) -> None:
    assert shell(ctl, "queuectl enqueue -- true <&- >&- 2>&-").returncode == 0
    assert shell(ctl, "queuectl show nothing <&- >&- 2>&-").returncode == 3
    assert "no job in it" in shell(ctl, "queuectl enqueue --file - <&-").stderr
    assert "which jobs" in shell(ctl, "queuectl cancel <&- >&-").stderr
    assert ctl("verify").code == 0
    assert ctl("list").jobs == ["1"]


def test_a_full_disk_for_the_answer_is_said_in_a_line(ctl: Ctl) -> None:
    ctl.enqueue("true")
    done = shell(ctl, "queuectl list >/dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert done.stderr.startswith("error: No space left")


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", "xx_YY.nonsense"])
def test_any_locale_prints_any_text(ctl: Ctl, locale: str) -> None:
    ctl.enqueue("echo naïve ☃")
    for words in ("list", "show 1", "history 1", "list --json"):
        assert ctl(*words.split(), env={"LC_ALL": locale}).err == ""
    ascii_only = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    assert r"na\xefve" in ctl("list", env=ascii_only).out


def test_ids_go_from_one_command_to_the_next(ctl: Ctl) -> None:
    done = shell(
        ctl,
        "id=$(queuectl enqueue -- true) && queuectl list --state pending | cut -f1 |"
        " queuectl cancel - && queuectl show $id | grep state",
    )
    assert "state\tcancelled" in done.stdout

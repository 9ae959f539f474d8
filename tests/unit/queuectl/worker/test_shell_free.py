"""The commands that are started without a shell."""

import pytest

from queuectl.worker import shell_free


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("true", ("true",)),
        ("  sleep\t0.5 ", ("sleep", "0.5")),
        ("./run.sh --out=a/b a,b @x +y 10%", ("./run.sh", "--out=a/b", "a,b", "@x", "+y", "10%")),
    ],
)  # fmt: skip
def test_program_and_plain_words_need_no_shell(command: str, words: tuple[str, ...]) -> None:
    assert shell_free.words_of(command) == words


@pytest.mark.parametrize("character", [*"'\"\\$`*?[]{}()<>|&;#~!^=\nü\u00a0"])
def test_special_characters_need_a_shell(character: str) -> None:
    assert shell_free.words_of(f"echo{character} a") is None
    if character != "=":
        assert shell_free.words_of(f"ls a{character}") is None


@pytest.mark.parametrize(
    "command", ["", " ", "A=1 env", "echo a", "cd /", "true --version", "exec ls", "if", ". x"]
)
def test_built_in_commands_and_keywords_need_a_shell(command: str) -> None:
    assert shell_free.words_of(command) is None


def test_variables_that_dash_sets_or_drops_need_a_shell() -> None:
    assert shell_free.handed_on((b"PATH", b"A1"))
    assert not shell_free.handed_on((b"PATH", b"IFS"))
    assert not shell_free.handed_on((b"a-b",))
    assert shell_free.inherited({b"A": b"1", b"f%%": b"2"}) == {b"A": b"1"}
    assert shell_free.inherited({b"OPTIND": b"1"}) is None

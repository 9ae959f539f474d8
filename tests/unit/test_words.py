"""Retired words do not come back: docs/glossary.md has their replacements."""

import ast
import io
import re
import tokenize
from pathlib import Path

PROJECT = Path(__file__).parents[2]
FOLDERS = ("eventstore", "projections", "queuectl", "tests", "benchmarks", "demo", "docs")
RETIRED = re.compile(
    r"\b(stand|stands|stood|tell|tells|told|telling|beside|let(?:s|ting)? go of|"
    r"tak(?:e|es|en|ing) away|put(?:s|ting)? off|mend|mends|mended|heed|heeds|hasten|hastens|"
    r"lest|by now|any more|for ever|meanwhile|thus|whoever|of whom|nowhere)\b",
    re.IGNORECASE,
)
LINK = re.compile(r"decisions/[\w-]+\.md")
"""The name of a decision record does not change."""
ABOUT_WORDS = {"docs/glossary.md", "tests/unit/test_words.py", "docs/decisions"}
"""These name the words on purpose, or are records of their time."""


def prose(path: Path) -> list[str]:
    """The docstrings and comments of a Python file; of another file, its text."""
    source = path.read_text()
    if not RETIRED.search(source):
        return []  # most files, and parsing all of them takes seconds
    if path.suffix != ".py":
        return [LINK.sub("", source)]
    docstrings = [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return docstrings + [token.string for token in tokens if token.type == tokenize.COMMENT]


def files() -> list[Path]:
    inside = [path for folder in FOLDERS for path in (PROJECT / folder).rglob("*")]
    written = [path for path in (*PROJECT.iterdir(), *inside) if path.suffix in (".py", ".md")]
    return [
        path
        for path in written
        if not any(str(path.relative_to(PROJECT)).startswith(name) for name in ABOUT_WORDS)
    ]


def test_no_retired_word_comes_back() -> None:
    offenders = {
        str(path.relative_to(PROJECT)): words
        for path in files()
        if (words := [match[0] for text in prose(path) for match in RETIRED.finditer(text)])
    }
    assert offenders == {}


def test_test_names_have_no_retired_words() -> None:
    names = [
        node.name.replace("_", " ")
        for path in (PROJECT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert [name for name in names if RETIRED.search(name)] == []

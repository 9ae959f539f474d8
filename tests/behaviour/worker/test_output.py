"""The output of an attempt: stored, limited, read again."""

import os
import random
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.output_files import OutputFiles, Piece, pieces
from queuectl.outputs.reader import last_lines, piece_of
from queuectl.outputs.writer import IN_MEMORY_BYTES, OutputWriter

LIMIT = 200_000
STREAM = random.Random(1).randbytes(1_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def printed(folder: int, *chunks: bytes, limit: int = LIMIT) -> OutputWriter:
    output = OutputWriter(OutputFiles(lambda: folder, "42", 1, limit))
    for chunk in chunks:
        output.take(chunk)
    return output


def chunked(data: bytes, size: int = 30_011) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def kept_of(folder: int) -> list[Piece]:
    return list(pieces(folder, "42", 1))


def test_short_output_makes_no_file(folder: int, tmp_path: Path) -> None:
    kept = printed(folder, b"one\n", b"two\n").finish()
    assert kept == (8, 8, sha256(b"one\ntwo\n").hexdigest(), b"one\ntwo\n")
    assert list(tmp_path.iterdir()) == []


def test_no_output_has_no_digest(folder: int) -> None:
    assert printed(folder).finish() == (0, 0, None, b"")


def test_long_output_within_the_limit_is_kept_whole(folder: int) -> None:
    kept = printed(folder, *chunked(STREAM[:LIMIT])).finish()
    assert kept == (LIMIT, LIMIT, sha256(STREAM[:LIMIT]).hexdigest(), None)
    assert b"".join(piece.data for piece in kept_of(folder)) == STREAM[:LIMIT]
    assert all(piece.missing_bytes == 0 for piece in kept_of(folder))


def test_head_and_tail_of_endless_output_are_kept_and_the_gap_is_reported(folder: int) -> None:
    kept = printed(folder, *chunked(STREAM)).finish()
    pieces = kept_of(folder)
    text = b"".join(piece.data for piece in pieces)
    gaps = [piece for piece in pieces if piece.missing_bytes]
    assert kept == (len(STREAM), len(text), sha256(text).hexdigest(), None)
    assert LIMIT * 3 // 4 <= len(text) <= LIMIT
    assert len(gaps) == 1
    assert text.startswith(STREAM[: LIMIT // 2])
    assert text.endswith(STREAM[gaps[0].offset :])
    assert len(text) + gaps[0].missing_bytes == len(STREAM)


def test_files_are_few_and_only_their_owner_can_read_them(folder: int, tmp_path: Path) -> None:
    printed(folder, *chunked(STREAM)).close()
    own = tmp_path / "42.1"
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert len(list(own.iterdir())) == 3
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in own.iterdir())


def test_running_output_can_be_followed(folder: int) -> None:
    output = printed(folder, b"first\n")
    assert kept_of(folder) == []
    output.spill()
    assert kept_of(folder) == [Piece(0, b"first\n", 0)]
    output.take(b"second\n")
    assert list(pieces(folder, "42", 1, since=6)) == [Piece(6, b"second\n", 0)]
    assert list(pieces(folder, "42", 1, since=13)) == []


def test_slow_short_output_is_stored_in_the_database_too(folder: int, tmp_path: Path) -> None:
    output = printed(folder, b"first\n")
    output.spill()
    output.take(b"second\n")
    assert output.finish().blob == b"first\nsecond\n"
    output.discard()
    assert list(tmp_path.iterdir()) == []
    assert list(piece_of(b"first\nsecond\n", from_byte=6)) == [Piece(6, b"second\n", 0)]


def test_follower_that_falls_behind_learns_how_much_it_missed(folder: int) -> None:
    output = printed(folder, *chunked(STREAM[:LIMIT]))
    for chunk in chunked(STREAM[LIMIT:]):
        output.take(chunk)
    follow = list(pieces(folder, "42", 1, since=LIMIT))
    assert follow[0].missing_bytes == follow[0].offset - LIMIT > 0
    assert follow[-1].end == len(STREAM)


def test_planted_links_are_not_followed(folder: int, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "42.1").symlink_to(elsewhere)
    kept = printed(folder, STREAM[:100_000]).finish()
    assert (kept.total_bytes, kept.kept_bytes, kept.sha256) == (100_000, 0, None)
    assert list(elsewhere.iterdir()) == []


def test_a_missing_folder_loses_the_output_but_not_the_job(folder: int, tmp_path: Path) -> None:
    os.rmdir(tmp_path)
    assert printed(folder, *chunked(STREAM)).finish() == (len(STREAM), 0, None, None)
    tmp_path.mkdir()


@given(st.integers(0, 3000), st.lists(st.binary(max_size=700), max_size=40), st.integers(0, 40))
def test_digest_is_of_the_kept_output(limit: int, chunks: list[bytes], spill_after: int) -> None:
    root = os.open("/tmp", os.O_RDONLY)
    output = OutputWriter(OutputFiles(lambda: root, f"test{os.getpid()}", 1, limit))
    for number, chunk in enumerate(chunks):
        if number == spill_after:
            output.spill()
        output.take(chunk)
    kept = output.finish()
    if kept.blob is None:
        text = b"".join(piece.data for piece in pieces(root, f"test{os.getpid()}", 1))
    else:
        text = kept.blob
    output.discard()
    os.close(root)
    assert kept.total_bytes == sum(map(len, chunks))
    assert kept.kept_bytes == len(text) <= limit
    assert kept.sha256 == (sha256(text).hexdigest() if text else None)
    assert kept.total_bytes > limit or kept.kept_bytes == kept.total_bytes


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\0", b"\n"))), st.integers(1, 9))
def test_tail_returns_the_last_lines(chunks: list[bytes], lines: int) -> None:
    whole = b"".join(chunks)
    printed = [Piece(0, chunk, 0) for chunk in chunks]
    expected = b"".join(_lines(whole)[-lines:])
    assert b"".join(piece.data for piece in last_lines(printed, lines)) == expected


def _lines(data: bytes) -> list[bytes]:
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def test_memory_does_not_grow_with_the_output(folder: int) -> None:
    output = printed(folder, b"x" * (IN_MEMORY_BYTES + 1), limit=1_000)
    assert output.finish().kept_bytes <= 1_000
    assert len(output._memory) == 0

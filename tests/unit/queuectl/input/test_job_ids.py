"""The ids that a client may choose."""

import pytest

from eventstore.output_files import folder_name
from queuectl.errors import BadInput
from queuectl.escape import quoted
from queuectl.input.job_ids import LONGEST_ID, check_id


@pytest.mark.parametrize(
    "job_id",
    [
        "nightly",
        "9f1c2d3e-1111-4222-8333-444455556666",
        "1e5",
        "d41d8cd98f00b204e9800998ecf8427e",
        "7d41d8cd98f00b204e9800998ecf8427",
        "2026-11-28",
        "2026-11-28T14:05:09",
        "holiday film (2).mov",
        "Übung",
        "日本語",
        "क्षत्रिय",
        "نام",
        "a:b",
        "#7",
        "100%",
        "a?b=c&d",
        "...x",
        "it's",
        "$".join("ab"),
        "👩\u200d🚀",
        "x" * LONGEST_ID,
        "語" * LONGEST_ID,
    ],
)
def test_any_text_that_can_be_typed_back_is_an_id(job_id: str) -> None:
    assert check_id("--id", job_id) == job_id


@pytest.mark.parametrize(
    ("job_id", "reason"),
    [
        ("", "1 to 200 characters"),
        ("x" * 201, "not 201"),
        ("7", "a number is an id that the queue assigns"),
        ("12345678901234567890123456789012", "a number"),
        ("٣", "a number"),
        ("3-9", "range"),
        ("2026-11", "range"),
        ("3-", "range"),
        ("last", "reserved"),
        ("Last", "reserved"),
        ("all", "reserved"),
        ("-", "option"),
        ("-x", "option"),
        ("$config", "stream"),
        ("@7", "position"),
        ("a/b", "path"),
        ("..", "dots"),
        ("…", "dots"),
        ("a\nb", "␊"),
        ("a\tb", "␉"),
        ("a\x1b[2Jb", "␛"),
        ("a\u202eb", r"U\+202E"),
        ("a\u200bb", r"U\+200B"),
        ("a\ufeff", r"U\+FEFF"),
        ("a\u00a0b", "plain one"),
        (" a", "begins or ends"),
        ("a ", "begins or ends"),
        ("a  b", "two in a row"),
        ("e\u0301te\u0301", "NFC"),
    ],
)
def test_an_ambiguous_id_is_refused_with_the_reason(job_id: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason) as refused:
        check_id("--id", job_id)
    assert str(refused.value).startswith("--id cannot be ")
    assert len(str(refused.value)) < 400


def test_a_long_id_has_a_folder_whose_name_is_short() -> None:
    assert folder_name("nightly", 2) == "nightly.2"
    names = {folder_name("語" * n, 2) for n in range(67, 201)}
    assert len(names) == 134
    assert all(len(name.encode()) < 80 and name.startswith("$") for name in names)


def test_an_id_is_quoted_for_a_shell_only_if_it_must_be() -> None:
    assert [quoted(word) for word in ("7", "a b", "it's")] == ["7", "'a b'", "'it'\"'\"'s'"]

"""The mark of an attempt."""

from hypothesis import given
from hypothesis import strategies as st

from queuectl.worker.process_mark import mark_of

QUEUE = "64769:1311"


def test_mark_names_queue_file_worker_job_and_attempt() -> None:
    assert mark_of(QUEUE, "5f", "42", 3).cookie == "64769:1311:5f:42:3"


def test_a_copied_queue_has_different_marks() -> None:
    copy = "64769:1312"
    assert mark_of(QUEUE, "5f", "42", 3) != mark_of(copy, "5f", "42", 3)
    assert mark_of(QUEUE, "5f", "42", 3).limit != mark_of(copy, "5f", "42", 3).limit


@given(st.text(), st.integers(min_value=1))
def test_limit_is_valid_and_larger_than_any_usual_one(job_id: str, attempt: int) -> None:
    assert (
        2**62
        <= mark_of(QUEUE, "5f", job_id.encode("utf-8", "replace").decode(), attempt).limit
        < 2**63 - 1
    )

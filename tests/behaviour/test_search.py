"""Search over command, name, tags and id: exact, bounded, and continued on the next page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from projections.read_models.jobs import Filter
from queuectl.api import Queue
from queuectl.core.requests import NewJob
from queuectl.dashboard import job_list


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "queue.db") as queue:
        yield queue


def search(queue: Queue, text: str, **filters: object) -> list[str]:
    """The ids on the first page."""
    with queue.read() as tx:
        which = Filter(search=text, **filters)  # type: ignore[arg-type]
        return [row.job.id for row in job_list.job_list(tx, which, None, 50, 0).jobs]


def test_command_name_tags_and_id_are_searched(queue: Queue) -> None:
    queue.enqueue("ffmpeg -i Holiday.mov", id="film-7")
    queue.enqueue("true", name="Nightly Holiday backup", id="b")
    queue.enqueue("true", tags={"album": "holiday-2026"}, id="c")
    queue.enqueue("true", tags={"holiday": "yes"}, id="d")
    queue.enqueue("true", id="holiday")
    queue.enqueue("true", queue="holiday", cwd="/srv/holiday", env={"A": "holiday"}, id="f")
    assert search(queue, "HOLIDAY") == ["holiday", "d", "c", "b", "film-7"]
    assert search(queue, "film") == ["film-7"]
    assert search(queue, "album=holi") == ["c"]
    assert search(queue, "=yes") == ["d"]


def test_an_exact_id_comes_first(queue: Queue) -> None:
    for number in range(30):
        queue.enqueue(f"echo {number}")
    assert search(queue, "3")[0] == "3"
    assert len(search(queue, "3")) == len(set(search(queue, "3")))
    assert search(queue, "3", states=("dead",)) == []


@pytest.mark.parametrize(
    "text",
    [
        'say "hi"',
        "50%",
        "a_b",
        "back\\slash",
        "two\nlines",
        "tab\there",
        "naïve ☃",
        "'quoted'",
        "%",
    ],
)
def test_any_text_is_searched_as_it_is(queue: Queue, text: str) -> None:
    queue.enqueue(f"echo {text} x", id="match")
    queue.enqueue("echo 50 aXb backslash", id="other")
    assert search(queue, text) == ["match"]


@pytest.mark.parametrize("text", ["max_retries", "backoff_base", "command", '":"', "}", ":"])
def test_the_keys_of_the_record_are_not_searched(queue: Queue, text: str) -> None:
    queue.enqueue("true", name="plain", tags={"k": "v"})
    assert search(queue, text) == []


def test_a_search_that_is_interrupted_continues_on_the_next_page(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "SEARCH_S", -1.0)
    monkeypatch.setattr(job_list, "SEARCH_WINDOW", 10)
    queue.enqueue_many(NewJob(command=f"echo {'rare' * (n == 3)}") for n in range(30))
    ids: list[str] = []
    pages, before = 0, None
    while before is not None or not pages:
        with queue.read() as tx:
            page = job_list.job_list(tx, Filter(search="RARE"), before, 50, 0)
        ids += [row.job.id for row in page.jobs]
        assert page.searched_to == page.next
        before, pages = page.next, pages + 1
    assert ids == ["4"]
    assert pages == 4


def test_pages_of_a_search_meet_without_gap_or_overlap(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "SEARCH_WINDOW", 7)
    queue.enqueue_many(NewJob(command=f"echo {n % 3}") for n in range(40))
    ids: list[str] = []
    before = None
    while before is not None or not ids:
        with queue.read() as tx:
            page = job_list.job_list(tx, Filter(search="echo 2"), before, 4, 0)
        ids += [row.job.id for row in page.jobs]
        before = page.next
    assert ids == [str(n + 1) for n in reversed(range(40)) if n % 3 == 2]

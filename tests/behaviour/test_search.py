"""A search among many jobs looks back a page at a time, and says so."""

from pathlib import Path

import pytest

from projections.read_models.jobs import Filter
from queuectl.dashboard import views
from queuectl.queue import Queue
from queuectl.requests import NewJob


def test_search_ends_somewhere_and_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SEARCHED_BACK", 10)
    found: list[str] = []
    pages, before = 0, None
    with Queue(tmp_path / "queue.db") as queue:
        queue.enqueue_many(NewJob(command=f"echo {'rare' * (n == 3)}") for n in range(30))
        while before is not None or not pages:
            with queue.read() as tx:
                page = views.job_list(tx, Filter(search="RARE"), before, 50)
            found += [job.id for job in page.jobs]
            before, pages = page.next, pages + 1
    assert found == ["4"]
    assert pages == 4

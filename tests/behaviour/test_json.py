"""Every `--json` answer has its documented shape, to the byte."""

import msgspec
import pytest

from queuectl import json_shapes
from queuectl.cli.ui import json_answers
from tests.ctl import Ctl

ANSWERS: dict[str, type[json_shapes.Document]] = {
    "enqueue --json -- true": json_answers.Accepted,
    "list --json": json_shapes.JobPage,
    "dlq list --json": json_shapes.JobPage,
    "show 1 --json": json_shapes.JobDocument,
    "dlq show 1 --json": json_shapes.JobDocument,
    "history 1 --json": json_shapes.EventPage,
    "events --json": json_shapes.EventPage,
    "enqueue --dry-run --json -- true": json_shapes.EventPage,
    "status --json": json_shapes.Status,
    "worker list --all --json": json_shapes.WorkerPage,
    "config list --json": json_answers.Settings,
    "config get jitter --json": json_answers.Settings,
    "config set jitter 0.5 --json": json_answers.Settings,
    "wait 2 --json": json_answers.Changed,
    "cancel 3 --json": json_answers.Changed,
    "dlq retry 1 --json": json_answers.Changed,
    "verify --json": json_answers.Verified,
    "replay --json": json_answers.Replayed,
    "replay --check --json": json_answers.Replayed,
    "doctor --json": json_shapes.Checkup,
    "backup copy.db --json": json_answers.BackedUp,
    "restore copy.db --force --json": json_answers.RestoredFrom,
}

LINES: dict[str, type[json_shapes.Shape]] = {
    "list --jsonl": json_shapes.JobShape,
    "history 1 --jsonl": json_shapes.EventShape,
    "events --jsonl": json_shapes.EventShape,
    "worker list --all --jsonl": json_shapes.WorkerShape,
}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Ctl:
    """A queue with a dead job, a completed one, one that waits, and a worker that has left."""
    ctl = Ctl(tmp_path_factory.mktemp("json"))
    ctl.dead_job()
    ctl.enqueue("true", tag="who=anna")
    ctl.drain()
    ctl.enqueue("true", queue="other")
    return ctl


def again(text: str, shape: type[json_shapes.Shape]) -> str:
    """Parse the text as this shape, and return it encoded again."""
    return msgspec.json.encode(msgspec.json.decode(text, type=shape)).decode()


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_has_its_shape(used: Ctl, words: str) -> None:
    answer = used(*words.split()).out
    assert f"{again(answer, ANSWERS[words])}\n" == answer
    assert answer.startswith('{"schema":1,"position":')


@pytest.mark.parametrize("words", LINES)
def test_each_line_of_a_list_has_its_shape(used: Ctl, words: str) -> None:
    lines = used(*words.split()).lines
    assert lines
    assert [again(line, LINES[words]) for line in lines] == lines

"""What the configuration and the contexts have become."""

import pytest

from eventstore.events.config import ConfigChanged
from eventstore.events.context import ContextRecorded
from eventstore.events.fact import Fact
from projections.folds import config, context
from tests.given import enqueued, recorded


def test_value_that_was_taken_back_is_gone() -> None:
    changes: list[Fact] = [
        ConfigChanged(key="max-retries", value=5),
        ConfigChanged(key="jitter", value=0.5),
        ConfigChanged(key="max-retries", value=None, before=5),
        ConfigChanged(key="timeout", value=None),
    ]
    state, seen = None, []
    for one in recorded(changes, stream=config.STREAM):
        state = config.evolve(state, one)
        seen.append(state)
    assert [one.values for one in seen] == [
        {"max-retries": 5},
        {"max-retries": 5, "jitter": 0.5},
        {"jitter": 0.5},
        {"jitter": 0.5},
    ]
    assert [one.version for one in seen] == [1, 2, 3, 4]


def test_context_is_named_by_its_position() -> None:
    (one,) = recorded([ContextRecorded(cwd="/home/anna", path="/bin")], context.STREAM, first=9)
    assert context.evolve(None, one) == context.Context(1, 9, "/home/anna", "/bin")


def test_event_of_another_kind_has_no_meaning_there() -> None:
    (one,) = recorded([enqueued()], config.STREAM)
    with pytest.raises(AssertionError, match=r"enqueued in \$config"):
        config.evolve(None, one)
    with pytest.raises(AssertionError, match=r"enqueued in \$context"):
        context.evolve(None, one)

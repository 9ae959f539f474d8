"""The states of the configuration and of the contexts."""

import pytest

from eventstore.events.config import ConfigChanged
from eventstore.events.context import ContextRecorded
from eventstore.events.fact import Fact
from projections.folds import config, context
from projections.streams import CONFIG, CONTEXT
from tests.given import enqueued, recorded


def test_value_that_was_reset_is_removed() -> None:
    changes: list[Fact] = [
        ConfigChanged(key="max-retries", value=5),
        ConfigChanged(key="jitter", value=0.5),
        ConfigChanged(key="max-retries", value=None, before=5),
        ConfigChanged(key="timeout", value=None),
    ]
    state, states = None, []
    for record in recorded(changes, stream=CONFIG):
        state = config.evolve(state, record)
        states.append(state)
    assert [state.values for state in states] == [
        {"max-retries": 5},
        {"max-retries": 5, "jitter": 0.5},
        {"jitter": 0.5},
        {"jitter": 0.5},
    ]
    assert [state.version for state in states] == [1, 2, 3, 4]


def test_context_is_named_by_its_position() -> None:
    (record,) = recorded([ContextRecorded(cwd="/home/anna", path="/bin")], CONTEXT, first=9)
    assert context.evolve(None, record) == context.Context(1, 9, "/home/anna", "/bin")


def test_event_of_another_kind_is_an_error() -> None:
    (record,) = recorded([enqueued()], CONFIG)
    with pytest.raises(AssertionError, match="Enqueued"):
        config.evolve(None, record)
    with pytest.raises(AssertionError, match="Enqueued"):
        context.evolve(None, record)

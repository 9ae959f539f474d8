"""The rules of the configuration."""

from eventstore.events.config import ConfigChanged
from projections.folds.config import Config
from queuectl.core.decisions.config import decide
from queuectl.core.requests import SetConfig

SET = Config(version=2, values={"max-retries": 5, "jitter": 0.5})


def test_new_value_is_recorded_with_the_previous_one() -> None:
    request = SetConfig(key="max-retries", value=2, reason="a bad night")
    assert decide(SET, request) == (
        ConfigChanged(key="max-retries", value=2, before=5, reason="a bad night"),
    )
    assert decide(None, request) == (
        ConfigChanged(key="max-retries", value=2, before=None, reason="a bad night"),
    )


def test_value_in_force_is_not_recorded_again() -> None:
    assert decide(SET, SetConfig(key="jitter", value=0.5)) == ()
    assert decide(SET, SetConfig(key="timeout", value=None)) == ()
    assert decide(None, SetConfig(key="jitter", value=None)) == ()


def test_value_is_reset_to_its_default() -> None:
    request = SetConfig(key="jitter", value=None)
    assert decide(SET, request) == (ConfigChanged(key="jitter", value=None, before=0.5),)

"""The settings: their keys, values and bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.core.settings import SETTINGS, lease_us, policy, setting
from queuectl.errors import BadInput, UnknownWord


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("max-retries", "max-retries"),
        ("max_retries", "max-retries"),
        ("base_backoff", "backoff-base"),
        ("Backoff-Base", "backoff-base"),
    ],
)
def test_old_spellings_of_a_key_are_accepted(key: str, name: str) -> None:
    assert setting(key).key == name


def test_mistyped_key_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownWord, match="did you mean max-retries"):
        setting("max-retrys")


@pytest.mark.parametrize(
    ("key", "text", "stored"),
    [
        ("max-retries", "5", 5),
        ("backoff-base", "1.5", 1.5),
        ("backoff-max", "1h", 3_600_000_000),
        ("jitter", "0.5", 0.5),
        ("timeout", "none", 0),
        ("timeout", "90", 90_000_000),
        ("grace", "10s", 10_000_000),
        ("output-limit", "10M", 10 << 20),
        ("lease", "30s", 30_000_000),
        ("lease", "1d", 86_400_000_000),
        ("lease", "never", 0),
    ],
)
def test_values_are_stored_in_their_unit(key: str, text: str, stored: float) -> None:
    assert setting(key).parse(text) == stored


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("max-retries", "-1"),
        ("max-retries", "many"),
        ("max-retries", "1.5"),
        ("backoff-base", "nan"),
        ("backoff-base", "inf"),
        ("jitter", "1.1"),
        ("timeout", "-5m"),
        ("max-retries", "none"),
        ("output-limit", "2000T"),
        ("lease", "9s"),
        ("lease", "25h"),
    ],
)
def test_value_out_of_bounds_is_refused(key: str, text: str) -> None:
    with pytest.raises(
        BadInput, match=r"max-retries|backoff-base|jitter|duration|output-limit|lease"
    ):
        setting(key).parse(text)


@given(st.sampled_from(sorted(SETTINGS)), st.data())
def test_shown_value_can_be_typed_again(key: str, data: st.DataObject) -> None:
    setting = SETTINGS[key]
    whole = st.integers(int(setting.lowest), int(setting.highest))
    value = data.draw(st.floats(0, setting.highest) if setting.kind == "number" else whole)
    assert setting.parse(setting.show(value)) == pytest.approx(value)


def test_bounds_of_a_lease_are_named() -> None:
    with pytest.raises(BadInput, match="lease must be between 10s and 1d, or never"):
        setting("lease").parse("1s")


def test_lease_is_no_part_of_the_policy_of_jobs() -> None:
    assert "lease_us" not in dict(policy({"lease": 0}).values)
    assert (lease_us({}), lease_us({"lease": 0})) == (120_000_000, None)


def test_policy_is_the_set_values_and_the_defaults() -> None:
    chosen = dict(policy({"max-retries": 5, "timeout": 0}).values)
    assert (chosen["max_retries"], chosen["backoff_base"], chosen["timeout_us"]) == (5, 2.0, None)

"""Encoding events as JSON, and decoding them."""

import pytest
from hypothesis import given

from eventstore import codec
from eventstore.errors import ChainBroken
from eventstore.events.fact import Fact, kebab
from eventstore.events.recorded import EVENT_TYPES, Event
from tests.any_event import events


@given(events)
def test_every_event_is_decoded_as_it_was_encoded(event: Event) -> None:
    data = codec.encode(event)
    assert codec.decode(1, codec.type_of(event), data) == event


@given(events)
def test_decoding_and_encoding_gives_the_same_bytes(event: Event) -> None:
    data = codec.encode(event)
    assert codec.encode(codec.decode(1, codec.type_of(event), data)) == data


@pytest.mark.parametrize(
    ("type_name", "data", "what"),
    [
        ("exploded", "{}", "unknown event type"),
        ("claimed", "{", "unreadable claimed data"),
        ("claimed", '{"attempt":"one","worker":"a","slot":1}', "unreadable claimed data"),
        ("claimed", '{"attempt":1,"worker":"a","slot":1,"more":1}', "unreadable claimed data"),
        ("claimed", '{"attempt":-1,"worker":"a","slot":1}', "unreadable claimed data"),
    ],
)
def test_unreadable_event_stops_the_reader(type_name: str, data: str, what: str) -> None:
    with pytest.raises(ChainBroken, match=f"position 7: {what}"):
        codec.decode(7, type_name, data)


def test_event_types_have_their_documented_names() -> None:
    assert {
        "enqueued", "fell-due", "claimed", "released", "succeeded", "failed", "scheduled-retry",
        "dead", "requeued", "cancel-requested", "cancelled", "config-changed", "worker-started",
        "worker-stopped", "worker-lost", "context-recorded", "stop-requested", "rescheduled",
        "log-moved",
    } == set(EVENT_TYPES)  # fmt: skip


def test_kebab_is_the_class_name_in_lower_case_with_hyphens() -> None:
    class ScheduledRetry(Fact, frozen=True):
        pass

    assert kebab(ScheduledRetry.__name__) == "scheduled-retry"


def test_old_form_of_an_event_is_converted_to_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        codec.UPCASTERS, "fell-due-early", lambda data: ("claimed", {**data, "slot": 1})
    )
    event = codec.decode(1, "fell-due-early", '{"attempt":1,"worker":"a"}')
    assert codec.type_of(event) == "claimed"

"""The kinds of stream: their names, and the table that describes each."""

from pathlib import Path

import pytest

from eventstore.events.recorded import EVENT_TYPES
from projections.kinds import KINDS
from projections.registry import READ_MODELS
from projections.streams import is_job, kind_of, name_in, named
from queuectl.cli.commands.events import events_command

ROOT = Path(__file__).parents[3]
FORMS = [kind.form for name, kind in KINDS.items() if name != "job"]


def test_kind_of_a_stream_follows_from_its_name() -> None:
    streams = ("7", "nightly", "$worker:3f", "$config", "$context", "$log")
    kinds = ["job", "job", "worker", "config", "context", "log"]
    assert [kind_of(name) for name in streams] == kinds
    assert [is_job(name) for name in streams] == [True, True, False, False, False, False]


@pytest.mark.parametrize("stream", ["$", "$nothing", "$job:7"])
def test_name_of_no_kind_is_an_error(stream: str) -> None:
    with pytest.raises(AssertionError, match=r"no kind of stream is named \$"):
        kind_of(stream)


def test_stream_contains_the_name_that_it_was_given() -> None:
    assert named("worker", "3f") == "$worker:3f"
    assert name_in(named("worker", "a:b")) == "a:b"


def test_every_event_type_belongs_to_the_kind_that_its_file_is_named_after() -> None:
    files = {event.__module__.rpartition(".")[2] for event in EVENT_TYPES.values()}
    assert files == set(KINDS)


def test_every_kind_has_a_read_model() -> None:
    """Except the log as a whole, which has one event."""
    assert {model.kind for model in READ_MODELS} == set(KINDS) - {"log"}


def test_names_of_streams_are_of_the_kinds_that_have_them() -> None:
    assert [kind_of(form) for form in FORMS] == [name for name in KINDS if name != "job"]


@pytest.mark.parametrize("form", FORMS)
def test_help_and_file_format_name_the_streams_of_each_kind(form: str) -> None:
    (option,) = (param for param in events_command.params if "--stream" in param.opts)
    assert form in option.to_info_dict()["help"]
    assert f"`{form}`" in (ROOT / "docs/file-format.md").read_text()

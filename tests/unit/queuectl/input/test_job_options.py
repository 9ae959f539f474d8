"""The table of the options of a job, and the places that must have each of them."""

import pytest

from eventstore.events.job import Enqueued
from queuectl.core.requests import NewJob
from queuectl.core.settings import SETTINGS
from queuectl.input.job_options import OPTIONS, option_lines
from queuectl.json_shapes import JobDetail, PolicyShape
from tests.given import enqueued, given

BY_KEY = {option.key: option for option in OPTIONS}
NO_OPTIONS = {"command", "argv", "run_at", "success_signal", "no_retry_signal"}
"""Fields that are the command itself, or set together with the field of an option."""

IN_ANOTHER_FORM = {"id", "cwd", "run_at", "run_at_us"}
"""Fields that the event has as its stream, its context and its due time."""

NOT_CHOSEN = {"context", "due_at_us", "request_sha256"}
"""Fields of the event that follow from others."""

ELSEWHERE = {
    *("id", "name", "tag", "queue", "priority", "delay", "run_at", "cwd", "env"),
    *("backoff_base", "backoff_max", "jitter"),
}
"""Options that are shown in lines of their own form, or with the line of another option."""


def test_every_option_has_a_field_of_a_new_job() -> None:
    fields = {option.field for option in OPTIONS}
    assert fields | NO_OPTIONS == set(NewJob.__struct_fields__)


def test_every_field_of_a_new_job_is_recorded() -> None:
    recorded = set(Enqueued.__struct_fields__) - NOT_CHOSEN
    assert set(NewJob.__struct_fields__) - IN_ANOTHER_FORM == recorded


def test_every_setting_of_jobs_is_the_default_of_an_option() -> None:
    options = {option.setting: option.field for option in OPTIONS if option.setting}
    of_jobs = {key: setting for key, setting in SETTINGS.items() if setting.of == "jobs"}
    assert options == {key: setting.field for key, setting in of_jobs.items()}
    assert set(options.values()) <= set(Enqueued.__struct_fields__)


def test_every_recorded_option_is_in_the_json_of_a_job() -> None:
    shown = {*JobDetail.__struct_fields__, *PolicyShape.__struct_fields__}
    recorded = set(Enqueued.__struct_fields__) - NOT_CHOSEN - {"delay_us"}
    assert {name.removesuffix("_us") + "_s" * name.endswith("_us") for name in recorded} <= shown


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_every_option_is_shown(option: object) -> None:
    shown = {option.key for option in OPTIONS if option.shown}
    assert option.key in shown ^ ELSEWHERE  # type: ignore[attr-defined]


def test_options_of_a_job_are_shown_in_words() -> None:
    plain = dict(option_lines(given(enqueued(max_retries=2))))
    assert plain["retries"] == "0 of 2 used; retry k after 2 ** k seconds, at most 1h"
    assert (plain["timeout"], plain["grace"]) == ("none", "10s from TERM to KILL")
    assert plain["output"] == "at most 10M of each attempt are kept"
    assert not {"success", "no retry", "background"} & plain.keys()
    job = given(
        enqueued(
            jitter=0.5,
            timeout_us=90_000_000,
            success_exit=(3,),
            no_retry_exit=(64,),
            no_retry_signal=(9,),
            background="keep",
        )
    )
    lines = dict(option_lines(job))
    assert lines["retries"].endswith("at most 1h, jitter 0.5")
    assert (lines["timeout"], lines["success"]) == ("1m30s", "only 3")
    assert lines["no retry"] == "after 64, SIGKILL"
    assert lines["background"] == "processes that it leaves running are kept"

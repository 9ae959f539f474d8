"""An id chosen by the user works wherever a job is named."""

import json
import shlex
from html import unescape
from urllib.parse import quote

import pytest

from queuectl.dashboard.app import create_app
from tests.behaviour.test_terminal import screen
from tests.ctl import Ctl
from tests.sampling import first_of

IDS = [
    "9f1c2d3e-1111-4222-8333-444455556666",
    "2026-11-28",
    "holiday film (2).mov",
    "it's 100% #1 & more?",
    "日本語",
    "語" * 200,
    "a:b:1",
    "x.json",
]


@pytest.mark.parametrize("job_id", first_of(IDS, 4))
def test_a_job_is_named_by_its_id_in_every_command(ctl: Ctl, job_id: str) -> None:
    command = "echo $QUEUECTL_JOB; seq 20000"
    assert ctl("enqueue", "--id", job_id, "--", command).out == f"{job_id}\n"
    again = ctl("enqueue", json.dumps({"id": job_id, "command": command}))
    assert again.out == f"{job_id}\n"
    ctl.drain()
    assert ctl("wait", job_id).out == f"{job_id}\tcompleted\n"
    assert ctl("wait", "-", stdin=f"{job_id}\n").out == f"{job_id}\tcompleted\n"
    assert ctl("list").jobs == [job_id]
    printed = ctl("logs", job_id).out
    assert printed.startswith(f"{job_id}\n1\n2\n")
    assert printed.endswith("\n20000\n")
    assert ctl.event_types(job_id) == ["enqueued", "claimed", "succeeded"]
    assert len(ctl("events", "--stream", job_id).lines) == 3
    assert ctl("doctor", code=None).code in (0, 1)
    ctl("backup", "copy.db")
    assert ctl("--db", "copy.db", "logs", job_id).out == printed
    assert ctl("verify").code == ctl("replay", "--check").code == 0


@pytest.mark.parametrize("job_id", first_of(IDS, 4))
def test_a_page_of_the_dashboard_names_it(ctl: Ctl, job_id: str) -> None:
    ctl("enqueue", "--id", job_id, "--", "echo here; seq 20000")
    ctl.drain()
    client = create_app(ctl.place).test_client()
    address = f"/jobs/{quote(job_id, safe='')}"
    assert client.get(address).status_code == 200
    assert client.get(f"{address}.json").json["job"]["id"] == job_id  # type: ignore[index]
    assert client.get(f"{address}/output/1").text.startswith("here\n1\n")
    page = client.get("/jobs").text
    link = unescape(page.split('class="id" href="')[1].split('"')[0])
    assert client.get(link).status_code == 200


def test_hints_quote_it_for_the_shell(ctl: Ctl) -> None:
    ctl("enqueue", '{"id": "my film", "command": "echo x; false", "max_retries": 0}')
    ctl.drain()
    hint = screen(ctl, "show", "my film").lines[-1]
    lines = [part.partition("queuectl ")[2] for part in hint.split(" · ")]
    assert lines == ["dlq retry 'my film'", "logs 'my film'"]
    for line in lines:
        ctl(*shlex.split(line))


def test_ids_on_standard_input_are_separated_by_lines_or_spaces(ctl: Ctl) -> None:
    for job_id in ("my film", "a", "b"):
        ctl("enqueue", "--id", job_id, "--", "true")
    assert ctl("cancel", "-", "--yes", stdin="my film\n\na b\r\n").jobs == ["my film", "a", "b"]
    assert "job c not found" in ctl("cancel", "-", "--yes", stdin="a c\n", code=3).err
    assert "job my car not found" in ctl("cancel", "-", "--yes", stdin="my car\n", code=3).err


def test_ids_with_digits_do_not_change_the_next_number(ctl: Ctl) -> None:
    ctl("enqueue", "--id", "99 bottles", "--", "true")
    assert ctl("enqueue", "--", "true").out == "1\n"

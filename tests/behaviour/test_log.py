"""`history` and `events` as typed."""

import json

from tests.ctl import Ctl


def test_history_has_every_event_with_actor_and_time(ctl: Ctl) -> None:
    job = ctl.enqueue("false", max_retries=1, backoff_base=0.1)
    ctl.drain()
    assert ctl.event_types(job) == [
        "enqueued",
        "claimed",
        "failed",
        "scheduled-retry",
        "requeued",
        "claimed",
        "failed",
        "dead",
    ]
    rows = [line.split("\t") for line in ctl("history", job).lines]
    assert [row[3] for row in rows] == ctl.event_types(job)
    assert rows[4][4] == "timer"
    assert float(rows[4][2]) >= 0.1
    assert json.loads(rows[3][5])["delay_us"] == 100_000


def test_events_are_a_feed_of_the_whole_log(ctl: Ctl) -> None:
    ctl("enqueue", '[{"command": "a"}, {"command": "b"}]')
    ctl("config", "set", "jitter", "0.5")
    events = [json.loads(line) for line in ctl("events", "--jsonl").lines]
    assert [event["position"] for event in events] == [1, 2, 3, 4]
    assert [event["type"] for event in events][1:] == ["enqueued", "enqueued", "config-changed"]
    assert events[1]["data"]["command"] == "a"
    assert ctl("events", "--json").json["events"] == events


def test_events_are_chosen_by_place_time_type_and_stream(ctl: Ctl) -> None:
    ctl("enqueue", '[{"command": "a"}, {"command": "b"}]')
    ctl("config", "set", "jitter", "0.5")

    def positions(*words: str) -> list[str]:
        return ctl("events", *words).jobs

    assert positions("--since", "@2") == ["3", "4"]
    assert positions("--since", "@1", "--until", "@2") == ["2"]
    assert positions("--type", "config-changed") == ["4"]
    assert positions("--stream", "last") == ["3"]
    assert positions("--stream", "$config") == ["4"]
    assert positions("--since", "1h-ago") == ["1", "2", "3", "4"]
    assert positions("--until", "1h-ago") == []
    assert (
        "unknown event type 'enqueue'; did you mean enqueued?"
        in ctl("events", "--type", "enqueue", code=2).err
    )


def test_following_prints_new_events(ctl: Ctl) -> None:
    ctl.enqueue("echo first")
    with ctl.running("events", "-f", "--jsonl", "--type", "enqueued") as feed:
        feed.says("echo first")
        ctl.enqueue("echo second")
        assert json.loads(feed.says("echo second"))["stream"] == "2"
    assert "never ends" in ctl("events", "-f", "--json", code=2).err


def test_following_begins_with_the_last_ten(ctl: Ctl) -> None:
    ctl("enqueue", "--file", "-", stdin='{"command": "true"}\n' * 30)
    job = ctl.enqueue("echo last")

    def first(*words: str) -> int:
        with ctl.running("events", "-f", "--jsonl", *words) as feed:
            feed.says("echo last")
            return int(json.loads(feed.out[0])["position"])

    assert first() == 23
    assert first("--since", "@30") == 31
    assert first("--stream", job) == 32


def test_following_begins_before_there_is_a_queue(ctl: Ctl) -> None:
    with ctl.running("events", "-f") as feed:
        ctl.enqueue("echo first")
        feed.says("echo first")

"""Each type of event is classified: it wakes the workers on a server, or it does not."""

from eventstore.events.recorded import EVENT_TYPES
from eventstore.postgres.notifying import NEWS, QUIET, announcements, channel_name

KEY = "3ea1dd90-de17-49ad-bd28-217a309461e6"


def test_each_type_of_event_is_news_or_quiet() -> None:
    assert {*NEWS, *QUIET} == {*EVENT_TYPES}
    assert NEWS.isdisjoint(QUIET)


def test_names_of_channels_are_short_enough_for_the_server() -> None:
    assert len(channel_name(KEY, "work")) <= 63


def test_commit_is_announced_on_each_channel() -> None:
    assert announcements(KEY, 7, []) == []
    work, log = channel_name(KEY, "work"), channel_name(KEY, "log")
    assert announcements(KEY, 7, ["work", "log"]) == [f"NOTIFY {work}, '7'", f"NOTIFY {log}, '7'"]

"""A queue with jobs in several states, and a client of its dashboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from queuectl.dashboard.app import create_app
from tests.behaviour.dashboard.feeds import NOON_US
from tests.browser.scene import Scene, story


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A queue with a dead, a completed, a pending and a scheduled job."""
    scene = Scene(tmp_path / "queue.db", NOON_US)
    scene.worker("3f2a", 2, "workshop")
    story(scene)
    done = scene.queue.enqueue("true", queue="night", tags={"kind": "check"})
    scene.claim(done.id)
    scene.finish(done.id, output="all is well\n")
    scene.queue.enqueue(["convert", "a b.png", "c.jpg"], id="thumbs.v2")
    scene.queue.enqueue("sleep 1", delay="5m")
    yield scene
    scene.queue.close()


@pytest.fixture
def client(scene: Scene) -> FlaskClient:
    """A client of that queue's dashboard, without a network."""
    return create_app(scene.queue.location.name).test_client()

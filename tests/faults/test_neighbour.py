"""Another user of the machine can neither read nor change the queue, nor redirect it."""

import os
import stat
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from eventstore.errors import ForeignFile, StoreError
from eventstore.location import locate, open_store
from queuectl import Queue
from queuectl.dashboard.app import create_app
from queuectl.outputs.writer import OutputWriter
from tests.ctl import Ctl, until
from tests.machine import BECOMES_OTHER_USER, OTHER_USER, needs_another_user
from tests.neighbour import as_nobody, shared_folder

SECRET = "the secret word is sesame"
STICKY = 0o1777
"""The mode of /tmp: every user may create files, and remove only their own."""


@pytest.fixture
def shared() -> Iterator[Ctl]:
    """The program with umask 0, in a folder that everyone may list and enter."""
    with shared_folder(0o755) as folder:
        yield Ctl(folder)


@pytest.fixture
def sticky() -> Iterator[Ctl]:
    """The program, in a folder in which everyone may create files."""
    with shared_folder(STICKY) as folder:
        yield Ctl(folder)


def reads_and_writes_nothing(folder: Path) -> None:
    """Assert that the calling user can access no file or folder below `folder`."""
    paths = [Path(place, name) for place, *lists in os.walk(folder) for name in chain(*lists)]
    assert paths, "no files were listed"
    for path in paths:
        assert path.name == "control" or not _may(path), f"{path}: {_may(path)}"
    for name in ("locks", "bells", "outputs", "locks/replay", "outputs/1.1/0"):
        for side_folder in ("queue.db.d", "copy.db.d"):
            assert not _may(folder / side_folder / name), name
    with pytest.raises(OSError, match="Permission"):
        (folder / "queue.db-new").touch()


def _may(path: Path) -> list[str]:
    """Return what the calling user may do with a file or folder."""
    done = []
    for what, flags in (("read", os.O_RDONLY), ("write", os.O_WRONLY), ("list", os.O_DIRECTORY)):
        try:
            os.close(os.open(path, flags | os.O_NONBLOCK))
            done.append(what)
        except OSError:
            pass
    for what, act in (("remove", os.unlink), ("empty", os.rmdir)):
        try:
            act(path)
            done.append(what)
        except OSError:
            pass
    return done


def opens_nothing(path: str) -> None:
    """Use the queue as the program does, as the calling user."""
    for readonly in (True, False):
        with pytest.raises(StoreError):
            open_store(path, create=not readonly, readonly=readonly)
    with pytest.raises(StoreError):
        Queue(path).enqueue("true")


def test_a_neighbour_reads_and_writes_nothing_of_ours(shared: Ctl) -> None:
    control = shared.folder / "control"
    control.write_text("what everyone may read")
    shared.enqueue(f"seq 100000; echo {SECRET}", env={"KEY": SECRET})
    shared.drain()
    running = shared.enqueue(f"echo {SECRET}; seq 100000; sleep 60")
    with shared.worker(), shared.running("events", "-f"):
        shared.wait_for(running, "claimed")
        until(lambda: list(shared.folder.rglob("outputs/2.1/0")) or None, "its output")
        shared("backup", "copy.db")
        names = {path.name for path in (shared.folder / "queue.db.d").iterdir()}
        assert names == {"locks", "bells", "outputs"}
        for path in shared.folder.rglob("*"):
            private = stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0
            assert private or path == control, path
        as_nobody(reads_and_writes_nothing, shared.folder)
        as_nobody(opens_nothing, str(shared.db))
    assert _may(control)[:2] == ["read", "write"], "what nobody may read proves nothing"
    assert shared("verify").code == 0


@needs_another_user
def test_the_check_sees_what_a_neighbour_may_read(shared: Ctl) -> None:
    """The control of the test above: it finds a file that others can read."""
    shared.enqueue("true")
    shared.db.chmod(0o644)
    with pytest.raises(AssertionError):
        as_nobody(reads_and_writes_nothing, shared.folder)


def test_the_folders_that_we_make_on_the_way_are_ours_alone(shared: Ctl) -> None:
    home = {"HOME": str(shared.folder), "QUEUECTL_DB": "", "XDG_STATE_HOME": ""}
    shared("enqueue", "--", "true", env=home)
    for path in (shared.folder / ".local").parent.rglob("*"):
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path


def plant(folder: Path, *links: tuple[str, str]) -> None:
    """Create links (name, target) in `folder`, as the calling user."""
    for name, target in links:
        os.symlink(target, folder / name)


def planted(ctl: Ctl, *links: tuple[str, str]) -> None:
    """Create links of another user; without root, of this user, which are refused as well."""
    (as_nobody if BECOMES_OTHER_USER else _call)(plant, ctl.folder, *links)


def _call(act: object, *arguments: object) -> None:
    assert callable(act)
    act(*arguments)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of this user with a file that must not change."""
    place = tmp_path / "victim"
    place.mkdir()
    (place / "file").write_text("as it was")
    return place


def untouched(victim: Path) -> bool:
    """Return whether that folder is unchanged."""
    return os.listdir(victim) == ["file"] and (victim / "file").read_text() == "as it was"


@needs_another_user
def test_a_link_of_a_neighbour_is_not_taken_for_the_queue(sticky: Ctl, victim: Path) -> None:
    planted(sticky, ("queue.db", str(victim / "new")), ("q.db", str(victim / "file")))
    for words in (["enqueue", "--", "true"], ["list"], ["worker", "start"], ["backup", "x.db"]):
        for db in ("queue.db", "q.db"):
            refused = sticky("--db", db, *words, code=6)
            assert refused.err.startswith("error: ")
            assert refused.err.count("\n") == 1
        assert sticky(*words, env={"QUEUECTL_DB": ""}, code=6).err.startswith("error: ")
    assert untouched(victim)


def test_a_link_of_the_user_is_followed(sticky: Ctl, tmp_path: Path) -> None:
    (sticky.folder / "link.db").symlink_to(tmp_path / "real.db")
    sticky("--db", "link.db", "enqueue", "--", "true")
    assert (tmp_path / "real.db").exists()


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".d"])
@pytest.mark.parametrize("target", ["new", "file", "."])
def test_links_at_the_names_next_to_the_file_are_not_followed(
    sticky: Ctl, victim: Path, suffix: str, target: str
) -> None:
    planted(sticky, (f"queue.db{suffix}", str(victim / target)))
    for words in (["enqueue", "--", "true"], ["worker", "start", "--until-empty"], ["replay"]):
        done = sticky(*words, code=None)
        assert done.code in (0, 6)
        assert "Traceback" not in done.err
    assert untouched(victim)


def leave(folder: Path, name: str) -> None:
    """Create an empty file of the calling user that everyone may read and write."""
    path = folder / name
    path.touch()
    path.chmod(0o666)


@needs_another_user
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_file_of_another_user_is_not_used(sticky: Ctl, suffix: str) -> None:
    """SQLite would write jobs into an empty -wal that another user has created there."""
    as_nobody(leave, sticky.folder, f"queue.db{suffix}")
    assert f"belongs to user {OTHER_USER}" in sticky("enqueue", "--", f"echo {SECRET}", code=6).err
    (sticky.folder / f"queue.db{suffix}").unlink()
    sticky.enqueue("true")
    for name in (f"queue.db{end}" for end in ("-wal", "-shm", "-journal")):
        (sticky.folder / name).unlink(missing_ok=True)
    as_nobody(leave, sticky.folder, f"queue.db{suffix}")
    for words in (["enqueue", "--", f"echo {SECRET}"], ["list"], ["worker", "start"]):
        assert f"belongs to user {OTHER_USER}" in sticky(*words, code=6).err
    assert (sticky.folder / f"queue.db{suffix}").read_bytes() == b""


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_hard_link_to_a_file_of_the_user_is_not_written(sticky: Ctl, suffix: str) -> None:
    """Some kernels let users create hard links to files of other users."""
    diary = sticky.folder / "diary"
    diary.write_text("")
    os.link(diary, f"{sticky.db}{suffix}")
    refused = sticky("enqueue", "--", f"echo {SECRET}", code=6).err
    assert f"queue.db{suffix} has a second name (hard link); keep one" in refused
    assert diary.read_bytes() == b""


def make_folder(folder: Path, name: str) -> None:
    """Create a folder of the calling user that everyone may write."""
    (folder / name).mkdir()
    (folder / name).chmod(0o777)


@needs_another_user
def test_a_folder_of_another_user_is_not_used(sticky: Ctl) -> None:
    as_nobody(make_folder, sticky.folder, "queue.db.d")
    sticky.enqueue(f"echo {SECRET}")
    assert "may be written by others" in sticky("worker", "start", code=6).err
    as_nobody(make_folder, sticky.folder, "copy.db.d")
    assert "written by others" in sticky("backup", "--force", "copy.db", code=6).err
    assert list((sticky.folder / "queue.db.d").iterdir()) == []


@needs_another_user
def test_a_queue_file_of_another_user_is_not_used(sticky: Ctl) -> None:
    """Its jobs would run with the rights of this user."""
    as_nobody(lambda path: Queue(path).enqueue("id > /tmp/owned"), str(sticky.db))
    for words in (["worker", "start", "--until-empty"], ["list"], ["enqueue", "--", "true"]):
        assert f"belongs to user {OTHER_USER}" in sticky(*words, code=6).err
        refusal = sticky(*words, env={"QUEUECTL_DB": ""}, code=6).err
        assert f"belongs to user {OTHER_USER}" in refusal


def test_links_at_temporary_names_are_not_followed(
    sticky: Ctl, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names are random; in this test another user has guessed them."""
    monkeypatch.setattr(os, "urandom", bytes)
    guessed = f"{sticky.db}.{bytes(6).hex()}.new"
    for target in ("file", "new"):
        planted(sticky, (os.path.basename(guessed), str(victim / target)))
        with pytest.raises(StoreError):
            open_store(str(sticky.db), create=True)
        if os.path.lexists(guessed):
            os.unlink(guessed)
        assert untouched(victim)
        assert not sticky.db.exists()


def test_links_in_the_side_folder_are_not_followed(sticky: Ctl, victim: Path) -> None:
    """Another user cannot create one there, but a job of this user can."""
    sticky.enqueue("true")
    sticky.drain()
    side_folder = Path(f"{sticky.db}.d")
    store = open_store(str(sticky.db))
    for name in ("locks/replay", "bells/b", "outputs/9.1"):
        (side_folder / name).symlink_to(victim / ("." if name.startswith("outputs") else "file"))
    with pytest.raises(OSError, match="symbolic links"):
        store.lock("replay").acquire()
    store.ring()
    output = OutputWriter(store.output_files("9", 1, 1_000_000))
    output.take(b"x" * 100_000)
    output.close()
    (side_folder / "outputs" / "8.1").mkdir(mode=0o700)
    (side_folder / "outputs" / "8.1" / "0").symlink_to(victim / "file")
    output = OutputWriter(store.output_files("8", 1, 1_000_000))
    output.take(b"x" * 100_000)
    output.close()
    store.close()
    assert untouched(victim)
    assert not (side_folder / "outputs" / "8.1" / "0").is_symlink()


def test_a_replay_with_a_planted_lock_is_one_line(sticky: Ctl, victim: Path) -> None:
    sticky.enqueue("true")
    sticky("replay")
    lock = Path(f"{sticky.db}.d/locks/replay")
    lock.unlink(missing_ok=True)
    lock.symlink_to(victim / "file")
    refused = sticky("replay", code=6)
    assert refused.err.startswith("error: ")
    assert refused.err.count("\n") == 1
    assert untouched(victim)


@needs_another_user
def test_target_of_a_link_must_belong_to_the_user(sticky: Ctl, victim: Path) -> None:
    planted(sticky, ("queue.db", str(victim / "new")))
    with pytest.raises(ForeignFile, match="is a link of user"):
        locate(str(sticky.folder / "queue.db"))


@needs_another_user
def test_dashboard_ignores_a_foreign_queue_db_link_in_its_working_directory(
    sticky: Ctl, tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(sticky, ("queue.db", str(victim / "new")))
    monkeypatch.chdir(sticky.folder)
    monkeypatch.delenv("QUEUECTL_DB", raising=False)
    named = str(tmp_path / "named.db")
    Queue(named).enqueue("true")
    page = create_app(named).test_client().get("/jobs/1")
    assert page.status_code == 200
    assert f" --db {named}" in page.text

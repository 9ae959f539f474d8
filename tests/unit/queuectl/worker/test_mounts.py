"""The check for local paths: from the mount table, without access to a foreign mount."""

from pathlib import Path

import pytest

from queuectl.worker.mounts import Mounts


def mounts(folder: Path, *lines: tuple[str, str]) -> Mounts:
    """Return Mounts with these mount points below `folder`, each with its type."""
    root = [("/", "ext4"), *((str(folder / point), kind) for point, kind in lines)]
    table = folder / "mountinfo"
    table.write_text(
        "".join(
            f"36 35 98:0 / {point} rw,noatime master:1 - {kind} none rw\n" for point, kind in root
        )
    )
    return Mounts(str(table))


def local(mounted: Mounts, *paths: Path | str) -> bool:
    return mounted.local(*(str(path).encode() for path in paths))


def test_path_is_local_unless_it_crosses_a_foreign_mount(tmp_path: Path) -> None:
    mounted = mounts(tmp_path, ("home", "nfs4"), ("disk", "xfs"), ("share", "fuse.sshfs"))
    assert local(
        mounted, "/", tmp_path, tmp_path / "disk/a", tmp_path / "homes", tmp_path / "absent/x"
    )
    for path in ("home", "home/anna/work", "share/x", "disk/../home/x", "./home/"):
        assert not local(mounted, f"{tmp_path}/{path}")
    assert not local(mounted, tmp_path / "disk", tmp_path / "home")


def test_local_mount_below_a_foreign_one_is_not_local(tmp_path: Path) -> None:
    assert not local(
        mounts(tmp_path, ("home", "nfs"), ("home/tmp", "tmpfs")), tmp_path / "home/tmp"
    )


def test_unknown_file_system_may_block(tmp_path: Path) -> None:
    assert not local(mounts(tmp_path, ("new", "notyetinvented")), tmp_path / "new")


@pytest.mark.parametrize("target", ["home/anna", "{here}/home/anna", "chain", "disk/../home"])
def test_link_to_a_foreign_mount_is_not_local(tmp_path: Path, target: str) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(target.format(here=tmp_path))
    (tmp_path / "chain").symlink_to("home")
    assert not local(mounts(tmp_path, ("home", "nfs")), tmp_path / "link" / "x")


def test_circular_links_are_local(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert local(mounts(tmp_path, ("home", "nfs")), tmp_path / "a")


def test_mount_point_may_contain_a_space(tmp_path: Path) -> None:
    assert not local(mounts(tmp_path, ("my\\040share", "cifs")), tmp_path / "my share" / "x")


def test_root_file_system_is_always_trusted(tmp_path: Path) -> None:
    assert local(mounts(tmp_path, ("../../../../../../../../", "nfs")), "/etc")


def test_a_script_is_local_only_if_its_interpreter_is(tmp_path: Path) -> None:
    mounted = mounts(tmp_path, ("apps", "nfs"))
    for name, first_line in (
        ("remote", f"#! {tmp_path}/apps/python -u\n"),
        ("indirect", f"#!{tmp_path}/remote\n"),
        ("usual", "#!/bin/sh\n"),
        ("text", "just text"),
    ):
        (tmp_path / name).write_text(first_line)
    runs_locally = {
        name: mounted.runs_locally(str(tmp_path / name).encode())
        for name in ("remote", "indirect", "usual", "text", "absent")
    }
    assert runs_locally == {
        "remote": False,
        "indirect": False,
        "usual": True,
        "text": True,
        "absent": True,
    }


def test_without_a_mount_table_all_paths_are_local() -> None:
    assert local(Mounts("/nowhere/mountinfo"), "/anything")

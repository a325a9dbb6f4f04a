"""Files of a folder by name: whole, and nowhere else."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from trainables.small_files import FolderFiles, NamedFile


def test_what_is_written_is_read_renamed_and_removed(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path / "states")
    assert not files.exists("a.state")
    looks = files.write("a.state", [b"one", memoryview(b" two")], wait=True)
    status = (tmp_path / "states/a.state").stat()
    assert looks == (7, status.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert files.read("a.state") == b"one two"
    files.rename("a.state", "a.foreign")
    assert [path.name for path in (tmp_path / "states").iterdir()] == ["a.foreign"]
    files.remove("a.foreign")
    files.remove("a.foreign")
    with pytest.raises(FileNotFoundError):
        files.read("a.foreign")


def test_names_with_folders_make_them(tmp_path: Path) -> None:
    FolderFiles(tmp_path / "m").write("v/0/gallery/1.png", [b"x"], wait=False)
    assert (tmp_path / "m/v/0/gallery/1.png").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../out", "..", ""])
def test_no_name_leads_out(name: str, tmp_path: Path) -> None:
    files = FolderFiles(tmp_path / "in")
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_bytes(b"kept")
    for call in (files.read, files.remove, files.exists):
        with pytest.raises(PermissionError):
            call(name)
    with pytest.raises(PermissionError):
        files.write(name, [b"x"], wait=False)
    with pytest.raises(PermissionError):
        files.rename("a", name)
    assert (tmp_path / "out").read_bytes() == b"kept"


def test_nothing_is_written_through_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    with pytest.raises(OSError, match="a link there leads out"):
        FolderFiles(tmp_path / "in").write("link/a", [b"x"], wait=False)
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_is_gone_is_no_place_to_write(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderFiles(tmp_path / "store", made=False).write("a", [b"x"], wait=False)
    with pytest.raises(FileNotFoundError):
        FolderFiles(tmp_path / "run/states").write("a", [b"x"], wait=False)
    assert not list(tmp_path.iterdir())


def test_without_room_what_was_there_stays(small_disk: Callable[[str], Path]) -> None:
    file = NamedFile(FolderFiles(small_disk("1m")), "a.state")
    file.write(b"before", wait=True)
    with pytest.raises(OSError) as told:  # noqa: PT011 - the number says which
        file.write(bytes(2**21), wait=True)
    assert told.value.errno == errno.ENOSPC
    assert file.read() == b"before"

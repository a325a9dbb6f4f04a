"""Contents are hashed once, and again only where a file may have changed."""

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest
from builders.little_memory import little_memory

from orchestrator.data.files.content_hashes import UNSURE, Content, content_hash, digest, hash_contents, look_at
from orchestrator.data.layouts.listing import ListedFile, Listing, Skipped
from orchestrator.data.layouts.table import LAYOUTS


def listing(root: Path, *names: str) -> Listing:
    return Listing(root, LAYOUTS["series"], tuple(ListedFile(name, "a", None) for name in names), ())


def hashed(root: Path, known: dict[str, Content], *names: str) -> tuple[dict[str, Content], dict[str, str]]:
    listed = listing(root, *names)
    return hash_contents(listed, look_at(listed), known)


def old_file(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    os.utime(path, (time.time() - 100, time.time() - 100))


def test_the_hash_is_the_contents_alone(tmp_path: Path) -> None:
    for name, data in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(data)
    contents, unreadable = hashed(tmp_path, {}, "a", "b", "c")
    assert contents["a"].content == contents["b"].content == content_hash(b"1") != contents["c"].content
    assert unreadable == {}


def test_an_unchanged_file_is_not_read(tmp_path: Path) -> None:
    old_file(tmp_path / "a", b"1")
    before, _ = hashed(tmp_path, {}, "a")
    marked = {"a": before["a"]._replace(content="as before")}
    assert hashed(tmp_path, marked, "a")[0] == marked


@pytest.mark.parametrize("change", ["time", "size", "replaced"])
def test_a_file_that_may_have_changed_is_read(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a"
    old_file(path, b"1")
    marked = {"a": hashed(tmp_path, {}, "a")[0]["a"]._replace(content="as before")}
    seen = digest(listing(tmp_path, "a"), look_at(listing(tmp_path, "a")))
    status = path.stat()
    if change == "time":
        os.utime(path)
    elif change == "size":
        path.write_bytes(b"12")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        other = tmp_path / "other"
        other.write_bytes(b"2")
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.replace(path)
    assert hashed(tmp_path, marked, "a")[0]["a"].content == content_hash(path.read_bytes())
    assert digest(listing(tmp_path, "a"), look_at(listing(tmp_path, "a"))) != seen


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    before, _ = hashed(tmp_path, {}, "a")
    assert before["a"].look == UNSURE
    status = path.stat()
    # The same size, inode and clock tick: nothing but the content tells.
    with path.open("r+b") as file:
        file.write(b"2")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert hashed(tmp_path, before, "a")[0]["a"].content == content_hash(b"2")


def test_what_can_not_be_read_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    known = {"gone": Content("old", UNSURE)}
    contents, unreadable = hashed(tmp_path, known, "gone", "folder")
    assert contents == {}
    assert unreadable == {
        "gone": "can't be read: No such file or directory",
        "folder": "can't be read: Is a directory",
    }


def test_a_file_that_memory_can_not_hold_has_a_reason(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**29)
    with little_memory():
        assert hashed(tmp_path, {}, "huge") == ({}, {"huge": "too large for this machine's memory"})


def test_the_digest_is_of_names_looks_root_and_what_was_skipped(tmp_path: Path) -> None:
    for name in ("a", "b\n\udcff"):
        old_file(tmp_path / name, b"1")
    full = listing(tmp_path, "a", "b\n\udcff")
    looks = look_at(full)
    assert digest(full, looks) == digest(full, look_at(full))
    others = [
        digest(listing(tmp_path, "a"), looks[:1]),
        digest(full, [looks[0], None]),
        digest(full, looks[::-1]),
        digest(Listing(tmp_path / "x", LAYOUTS["series"], full.files, ()), looks),
        digest(Listing(tmp_path, LAYOUTS["series"], full.files, (Skipped("c", "why"),)), looks),
    ]
    assert len({digest(full, looks), *others}) == 6


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "link to a pipe"])
def test_what_takes_a_files_place_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    full = listing(tmp_path, "a", "b")
    looks = look_at(full)
    (tmp_path / "a").unlink()
    if kind == "pipe":
        os.mkfifo(tmp_path / "a")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound, contextlib.chdir(tmp_path):
            bound.bind("a")
    elif kind == "device":
        (tmp_path / "a").symlink_to("/dev/zero")
    elif kind == "folder":
        (tmp_path / "a").mkdir()
    else:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "a").symlink_to("pipe")
    contents, unreadable = hash_contents(full, looks, {})
    assert set(contents) == {"b"}
    assert unreadable["a"].startswith("can't be read: ")


def test_a_class_of_another_name_than_its_folder_is_seen(tmp_path: Path) -> None:
    path = "caf\udce9/1.csv"
    listed = [
        Listing(tmp_path, LAYOUTS["series"], (ListedFile(path, name, None),), ()) for name in ("caf\udce9", "caf\\xe9")
    ]
    assert digest(listed[0], [None]) != digest(listed[1], [None])

"""Files that are there whole or not at all, and what is left where a write is broken off."""

import threading
from pathlib import Path

import pytest

from trainables.files import (
    LONGEST_NAME,
    append_after,
    append_line,
    file_sha256,
    is_draft,
    json_sha256,
    whole,
    whole_folder,
    write_whole,
)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("wait", [False, True])
def test_a_file_that_can_not_be_written_leaves_the_old_one(tmp_path: Path, wait: bool, shared: bool) -> None:
    write_whole(tmp_path / "file", [b"old"], wait=wait, shared=shared)
    with pytest.raises(TypeError):
        write_whole(tmp_path / "file", [b"new", None], wait=wait, shared=shared)  # type: ignore[list-item]
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_whole(file, "old", wait=False)
    with whole(file, wait=False) as draft:
        draft.write(b"new")
        assert file.read_text() == "old"
        (beside,) = (path for path in tmp_path.iterdir() if path != file)
        assert is_draft(beside)
    assert file.read_text() == "new"
    assert not is_draft(file)


def test_only_what_is_waited_for_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []
    monkeypatch.setattr("os.fsync", waited.append)
    write_whole(tmp_path / "a", b"x", wait=False)
    assert waited == []
    write_whole(tmp_path / "a", b"x", wait=True)
    append_line(tmp_path / "b", "x")
    append_after(tmp_path / "b", lambda before: "x")
    assert len(waited) == 3


def test_what_a_kill_left_of_a_draft_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "a"
    with pytest.raises(KeyboardInterrupt), whole(file, wait=False) as draft:  # noqa: PT012
        left = Path(draft.name)
        raise KeyboardInterrupt
    assert not left.exists()
    left.write_bytes(b"half")
    write_whole(file, b"whole", wait=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_writers_of_one_path_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "a"
    contents = [str(number) * 200_000 for number in range(8)]

    def write(content: str) -> None:
        for _ in range(5):
            write_whole(file, content, wait=False, shared=True)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert file.read_text() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["a" * 255, "\N{GREEK SMALL LETTER OMEGA}" * 127])
def test_a_long_name_has_a_draft_too(tmp_path: Path, name: str) -> None:
    with whole(tmp_path / name, wait=False, shared=True) as draft:
        draft.write(b"x")
        assert len(Path(draft.name).name.encode()) <= LONGEST_NAME
        assert is_draft(Path(draft.name))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with whole_folder(target) as draft:
        (draft / "old").touch()
    with pytest.raises(OSError, match="no room"), whole_folder(target) as draft:  # noqa: PT012
        (draft / "half").touch()
        raise OSError("no room")
    assert [path.name for path in target.iterdir()] == ["old"]
    with whole_folder(target) as draft:
        assert list(draft.iterdir()) == []
        (draft / "new").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [path.name for path in target.iterdir()] == ["new"]


def test_an_unfinished_last_line_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    append_line(file, "first")
    with file.open("ab") as end:
        end.write(b"half a li")
    append_line(file, "second")
    assert file.read_bytes() == b"first\nsecond\n"
    file.write_bytes(b"only half")
    append_line(file, "first")
    assert file.read_bytes() == b"first\n"


def test_hashes_are_sha_256(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    assert file_sha256(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4
    assert json_sha256({"b": 1, "a": [2, None]}) == json_sha256({"a": [2, None], "b": 1})
    assert json_sha256({"a": 1}) != json_sha256({"a": 2})

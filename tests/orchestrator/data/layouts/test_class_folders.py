"""A tree of files -> what is taken, as which class and part, and what is not."""

import os
from pathlib import Path

import pytest

from orchestrator.data.layouts.listing import ListedFile
from orchestrator.data.layouts.table import LayoutName, find_files
from trainables.errors import InputError


def make(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def test_the_first_folder_is_the_class_and_deeper_ones_only_group(tmp_path: Path) -> None:
    make(tmp_path, "b/1.csv", "a/deep/er/2.CSV", "a/10.csv", "a/note.txt")
    listing = find_files(tmp_path, "series")
    assert listing.files == (
        ListedFile("a/10.csv", "a", None),
        ListedFile("a/deep/er/2.CSV", "a", None),
        ListedFile("b/1.csv", "b", None),
    )
    assert listing.skipped == ()


def test_a_layout_that_is_none_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no layout 'imags'\. Layouts: series, images, "):
        find_files(tmp_path, "imags")


def test_every_picture_suffix_is_taken(tmp_path: Path) -> None:
    names = ["1.png", "2.jpg", "3.JPEG", "4.bmp", "5.tif", "6.tiff", "7.webp"]
    make(tmp_path, *(f"a/{name}" for name in names), "b/1.png", "b/2.csv")
    listing = find_files(tmp_path, "images")
    assert [file.path for file in listing.files] == [*(f"a/{name}" for name in names), "b/1.png"]


@pytest.mark.parametrize(
    ("folder", "part"),
    [("train", "train"), ("Training", "train"), ("val", "validation"), ("valid", "validation"), ("testing", "test")],
)
def test_supplied_parts_are_told_by_their_folders(tmp_path: Path, folder: str, part: str) -> None:
    make(tmp_path, f"{folder}/a/1.csv", f"{folder}/b/1.csv")
    assert find_files(tmp_path, "series").files == (
        ListedFile(f"{folder}/a/1.csv", "a", part),
        ListedFile(f"{folder}/b/1.csv", "b", part),
    )


def test_part_names_beside_other_folders_are_classes(tmp_path: Path) -> None:
    make(tmp_path, "train/1.csv", "test/1.csv", "other/1.csv")
    assert {(file.class_name, file.part) for file in find_files(tmp_path, "series").files} == {
        ("train", None),
        ("test", None),
        ("other", None),
    }


def test_files_without_a_class_folder_are_skipped_with_a_reason(tmp_path: Path) -> None:
    make(tmp_path, "loose.csv", "train/loose.csv", "train/a/1.csv", "test/b/1.csv")
    listing = find_files(tmp_path, "series")
    assert [file.path for file in listing.files] == ["test/b/1.csv", "train/a/1.csv"]
    assert [skipped.path for skipped in listing.skipped] == ["loose.csv", "train/loose.csv"]
    assert "directly in the root" in listing.skipped[0].reason
    assert "directly in its part's folder" in listing.skipped[1].reason


def test_hidden_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    make(tmp_path, "a/1.csv", "b/1.csv", "a/.2.csv", ".git/1.csv", ".loose.csv")
    listing = find_files(tmp_path, "series")
    assert [file.path for file in listing.files] == ["a/1.csv", "b/1.csv"]
    assert listing.skipped == ()


def test_odd_names_are_taken_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    names = ["Z.csv", "a b.csv", "a'\".csv", "a\nb.csv", "é.csv", "日本.csv", os.fsdecode(b"\xff\xfe.csv")]
    make(tmp_path, *(f"ü x/{name}" for name in names), "b/1.csv")
    listing = find_files(tmp_path, "series")
    assert [os.fsencode(file.path) for file in listing.files] == sorted(
        [b"b/1.csv", *(os.fsencode(f"ü x/{name}") for name in names)]
    )


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    make(tmp_path, "root/a/1.csv", "root/b/1.csv", "elsewhere/2.csv")
    (tmp_path / "root/a/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/a/circle").symlink_to(tmp_path / "root/a")
    (tmp_path / "root/b/gone.csv").symlink_to(tmp_path / "nothing.csv")
    os.mkfifo(tmp_path / "root/b/pipe.csv")
    listing = find_files(tmp_path / "root", "series")
    assert [file.path for file in listing.files] == ["a/1.csv", "a/linked/2.csv", "b/1.csv"]
    assert dict(listing.skipped) == {
        "a/circle": "a link to a folder that it lies in",
        "b/gone.csv": "a link to nothing",
        "b/pipe.csv": "not a regular file",
    }


@pytest.mark.parametrize(
    ("files", "layout", "message"),
    [
        ([], "series", r"No \.csv, .* or \.tsv\.gz files .*no other files either"),
        (["a/1.png", "b/2.png"], "series", r"Found instead: 2 \.png\. Use layout: images"),
        (["a/1.csv"], "images", r"No \.png, .* or \.webp files .*1 \.csv\. Use layout: series"),
        (["a/1.txt", "a/README"], "series", r"Found instead: 1 \.txt, 1 without a suffix\. Check the path"),
        (["1.csv", "2.csv"], "series", r"none of the 2 \.csv files .* class folder.*normal/1\.csv"),
        (["train/1.csv"], "series", r"none of the 1 \.csv files .* class folder.*train/normal/1\.csv"),
        (["only/1.csv", "only/2.csv"], "series", r"two classes.*all 2 \.csv files .* of one: 'only'"),
    ],
)
def test_a_tree_that_can_not_be_used_is_explained(
    tmp_path: Path, files: list[str], layout: LayoutName, message: str
) -> None:
    make(tmp_path, *files)
    with pytest.raises(InputError, match=message):
        find_files(tmp_path, layout)


def test_a_root_that_can_not_be_used_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_files(tmp_path / "nothing", "series")
    make(tmp_path, "file.csv")
    with pytest.raises(InputError, match="is a file"):
        find_files(tmp_path / "file.csv", "series")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_folders_that_can_not_be_listed_are_named(tmp_path: Path) -> None:
    make(tmp_path, "a/1.csv", "b/1.csv", "a/closed/2.csv")
    (tmp_path / "a/closed").chmod(0)
    try:
        assert dict(find_files(tmp_path, "series").skipped) == {
            "a/closed": "the folder can't be read: Permission denied"
        }
        with pytest.raises(InputError, match="can't be read: Permission denied"):
            find_files(tmp_path / "a/closed", "series")
    finally:
        (tmp_path / "a/closed").chmod(0o755)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tiles.zip", "an archive: unpack it, and give the folder"),
        ("TILES.TAR.GZ", "an archive"),
        ("a.csv", "a file: give"),
    ],
)
@pytest.mark.parametrize("layout", ["series", "images", "mvtec"])
def test_an_archive_is_to_be_unpacked_and_said_once(tmp_path: Path, name: str, words: str, layout: LayoutName) -> None:
    path = tmp_path / name
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=words) as caught:
        find_files(path, layout)
    assert "can't be read" not in str(caught.value)
    assert ".." not in str(caught.value).replace(str(tmp_path), "")

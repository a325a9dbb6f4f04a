"""Folders that would be taken for classes and are none are refused or named."""

from pathlib import Path

import pytest

from orchestrator.data.layouts.table import LayoutName, find_files
from trainables.errors import InputError


def make(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


PARTS = [f"{part}/{kind}/{number}.png" for part in ("train", "val", "test") for kind in "ab" for number in range(2)]
CLASSES = [f"{kind}/{number}.png" for kind in "abc" for number in range(4)]


@pytest.mark.parametrize(
    "odd",
    [
        "unlabeled/1.png",
        "docs/figure.png",
        "extra/a/1.png",
        "data/train/a/1.png",
        "ground_truth/a/1.png",
        "Tset/a/1.png",
    ],
)
@pytest.mark.parametrize("parts", ["train val test", "train test", "Train Testing", "train valid"])
def test_a_folder_beside_parts_does_not_make_classes_of_them(tmp_path: Path, odd: str, parts: str) -> None:
    make(tmp_path, *(f"{part}/{kind}/1.png" for part in parts.split() for kind in "ab"), odd)
    with pytest.raises(InputError, match=rf"no part: '{odd.split('/')[0]}'.*Move it out"):
        find_files(tmp_path, "images")


def test_all_odd_folders_are_named_and_those_without_data_are_none(tmp_path: Path) -> None:
    make(tmp_path, *PARTS, "docs/readme.md", "models/weights.bin")
    assert {file.class_name for file in find_files(tmp_path, "images").files} == {"a", "b"}
    make(tmp_path, "more/1.png", "new/b/c/1.png")
    with pytest.raises(InputError, match="'more', 'new'"):
        find_files(tmp_path, "images")


def test_parts_in_a_folder_below_are_told_from_a_class(tmp_path: Path) -> None:
    make(tmp_path, *(f"copy/{path}" for path in PARTS), "docs/1.png")
    with pytest.raises(InputError, match=r"'copy' .* holds parts .*Give '.*copy' as the data folder"):
        find_files(tmp_path, "images")


def test_a_part_name_beside_classes_is_a_class_and_that_is_said(tmp_path: Path) -> None:
    make(tmp_path, "train/1.csv", "test/1.csv", "other/1.csv")
    listing = find_files(tmp_path, "series")
    assert {(file.class_name, file.part) for file in listing.files} == {
        ("train", None),
        ("test", None),
        ("other", None),
    }
    assert any("'test', 'train' are taken for classes" in remark for remark in listing.remarks)


def test_parts_below_classes_are_said_to_be_none(tmp_path: Path) -> None:
    make(tmp_path, *(f"{kind}/{part}/1.csv" for kind in "ab" for part in ("train", "test")))
    assert any("only group" in remark for remark in find_files(tmp_path, "series").remarks)


@pytest.mark.parametrize(
    "folder",
    [
        "ground_truth",
        "Ground Truth",
        "masks",
        "labels",
        "Annotations",
        "segmentation_masks",
        "mask",
        "a/masks",
        "a/x/GT",
    ],
)
def test_masks_are_no_class(tmp_path: Path, folder: str) -> None:
    make(tmp_path, *CLASSES, *(f"{folder}/{number}.png" for number in range(4)))
    with pytest.raises(InputError, match=rf"'{folder}' .* masks or labels.*mvtec.*rename it"):
        find_files(tmp_path, "images")


def test_labels_beside_series_are_no_class(tmp_path: Path) -> None:
    make(tmp_path, "a/1.csv", "b/1.csv", "labels/1.csv")
    with pytest.raises(InputError, match="'labels'"):
        find_files(tmp_path, "series")
    make(tmp_path / "parts", "train/a/1.csv", "train/b/1.csv", "test/a/1.csv", "train/labels/1.csv")
    with pytest.raises(InputError, match="'train/labels'"):
        find_files(tmp_path / "parts", "series")


@pytest.mark.parametrize("other", ["no_mask", "without mask", "unmasked"])
def test_a_class_may_be_called_mask(tmp_path: Path, other: str) -> None:
    make(tmp_path, "mask/1.png", "mask/2.png", f"{other}/1.png", f"{other}/2.png")
    listing = find_files(tmp_path, "images")
    assert {file.class_name for file in listing.files} == {"mask", other}
    assert any("'mask'" in remark and "may be masks" in remark for remark in listing.remarks)


def test_masks_beside_their_pictures_are_named(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "a/1_mask.png", "a/2.png", "a/2_MASK.png", "b/1.png", "b/nice_mask.png")
    remark = next(remark for remark in find_files(tmp_path, "images").remarks if "beside them" in remark)
    assert remark.startswith("2 files")
    assert "'a/1_mask.png', 'a/2_MASK.png'" in remark


@pytest.mark.parametrize(
    ("paths", "copy"),
    [
        ([*CLASSES, *(f"data/{path}" for path in CLASSES)], "data"),
        ([*CLASSES, *(f"a/{path}" for path in CLASSES)], "a"),
        ([*CLASSES, "b/a/1.png", "b/c/1.png"], "b"),
        ([*PARTS, *(f"train/copy/{kind}/1.png" for kind in "ab")], "train/copy"),
    ],
)
def test_a_second_copy_of_the_whole_is_no_class(tmp_path: Path, paths: list[str], copy: str) -> None:
    make(tmp_path, *paths)
    with pytest.raises(InputError, match=rf"'{copy}' .* second copy"):
        find_files(tmp_path, "images")


def test_the_one_folder_that_holds_all_classes_is_offered(tmp_path: Path) -> None:
    make(tmp_path, *(f"unpacked/{path}" for path in CLASSES))
    with pytest.raises(InputError, match=rf"two classes.*perhaps '{tmp_path}/unpacked'"):
        find_files(tmp_path, "images")


@pytest.mark.parametrize(
    ("layout", "lost", "found"),
    [
        ("images", ["c/1.jp2", "c/2.jp2"], r"'c' .*2 \.jp2 \(such as 'c/1\.jp2'\).*takes \.png, "),
        ("images", ["c/deep/1.npy"], r"'c' .*1 \.npy"),
        ("images", ["c/1.csv.gz", "d/README"], r"'c', 'd' .*1 without one .*1 \.csv\.gz"),
        ("series", ["c/1.txt"], r"'c' .*1 \.txt .*takes \.csv, \.tsv, \.csv\.gz or \.tsv\.gz"),
        ("series", ["c/1.csv.bz2"], r"'c' .*1 \.csv\.bz2"),
    ],
)
def test_a_class_that_loses_all_its_files_is_an_error(
    tmp_path: Path, layout: LayoutName, lost: list[str], found: str
) -> None:
    suffix = ".png" if layout == "images" else ".csv"
    make(tmp_path, f"a/1{suffix}", f"b/1{suffix}", *lost)
    with pytest.raises(InputError, match=found):
        find_files(tmp_path, layout)


@pytest.mark.parametrize("lost", ["test/a/1.txt", "test/1.txt", "val/b/1.npy"])
def test_a_part_or_a_class_in_it_that_loses_all_its_files_is_an_error(tmp_path: Path, lost: str) -> None:
    make(tmp_path, "train/a/1.csv", "train/b/1.csv", "val/a/1.csv", lost)
    with pytest.raises(InputError, match=rf"'{lost.rpartition('/')[0]}'"):
        find_files(tmp_path, "series")


def test_what_is_left_out_is_said_by_suffix_with_an_example(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jfif", "a/2.heic", "a/3.HEIC", "b/1.JPG", "b/x.txt.gz", "notes", "docs/a.md")
    listing = find_files(tmp_path, "images")
    assert [file.path for file in listing.files] == ["a/1.jfif", "b/1.JPG"]
    assert listing.others == {".heic": 2, ".txt.gz": 1, "": 1, ".md": 1}
    remark = next(remark for remark in listing.remarks if "suffix" in remark)
    assert "5 files left out" in remark
    assert "2 .heic (such as 'a/2.heic')" in remark
    assert "1 without one (such as 'notes')" in remark


@pytest.mark.parametrize("name", ["1.csv", "2.CSV.GZ", "3.tsv", "4.Tsv.gz"])
def test_every_suffix_of_series_is_taken(tmp_path: Path, name: str) -> None:
    make(tmp_path, f"a/{name}", "b/1.csv")
    assert [file.path for file in find_files(tmp_path, "series").files] == [f"a/{name}", "b/1.csv"]


def test_folders_that_hold_nothing_are_said(tmp_path: Path) -> None:
    make(tmp_path, "a/1.csv", "b/1.csv", "d/.gitkeep")
    (tmp_path / "c").mkdir()
    assert "2 folders hold nothing: 'c', 'd'." in find_files(tmp_path, "series").remarks

"""Names in two Unicode forms, in other capitals, and of bytes that are no UTF-8."""

import os
from pathlib import Path

import pytest

from orchestrator.data.layouts.listing import ListedFile, suffix_of, without_suffix
from orchestrator.data.layouts.names import class_names, paired, quoted, shown
from orchestrator.data.layouts.table import find_files, guess_layout
from trainables.errors import InputError

NFC, NFD = "caf\u00e9", "cafe\u0301"
LATIN = os.fsdecode(b"caf\xe9")


def make(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def test_folders_equal_in_normal_form_are_one_class(tmp_path: Path) -> None:
    make(tmp_path, f"{NFC}/1.csv", f"{NFD}/2.csv", "other/1.csv", "\ud55c/1.csv", "\u1112\u1161\u11ab/2.csv")
    listing = find_files(tmp_path, "series")
    assert {file.path: file.class_name for file in listing.files} == {
        f"{NFC}/1.csv": NFC, f"{NFD}/2.csv": NFC, "other/1.csv": "other", "\ud55c/1.csv": "\ud55c",
        "\u1112\u1161\u11ab/2.csv": "\ud55c",
    }  # fmt: skip
    assert sum("are one class" in remark for remark in listing.remarks) == 2


def test_a_name_is_shown_as_it_is(tmp_path: Path) -> None:
    make(tmp_path, f"{NFD}/1.csv", "b/1.csv")
    listing = find_files(tmp_path, "series")
    assert {file.class_name for file in listing.files} == {NFD, "b"}
    assert listing.remarks == ()


def test_a_class_is_one_in_parts_too(tmp_path: Path) -> None:
    make(tmp_path, f"train/{NFC}/1.csv", f"test/{NFD}/2.csv", "train/b/1.csv", "test/b/1.csv")
    assert {file.class_name for file in find_files(tmp_path, "series").files} == {NFC, "b"}


def test_classes_that_differ_in_capitals_only_are_named(tmp_path: Path) -> None:
    make(tmp_path, "Good/1.csv", "good/2.csv")
    assert any("'Good' and 'good'" in remark for remark in find_files(tmp_path, "series").remarks)


def test_names_that_are_no_utf8_are_written_out_and_told(tmp_path: Path) -> None:
    make(tmp_path, f"{LATIN}/1.csv", f"b/{LATIN}.csv", f"{NFC}/1.csv")
    listing = find_files(tmp_path, "series")
    assert {file.path: file.class_name for file in listing.files} == {
        f"{LATIN}/1.csv": r"caf\xe9", f"b/{LATIN}.csv": "b", f"{NFC}/1.csv": NFC,
    }  # fmt: skip
    assert r"The name of the class folder 'caf\xe9' is no UTF-8; it is shown so." in listing.remarks
    assert any("paths of 2 files hold bytes that are no UTF-8" in remark for remark in listing.remarks)


def test_two_folders_that_would_be_shown_alike_are_refused(tmp_path: Path) -> None:
    make(tmp_path, f"{LATIN}/1.csv", r"caf\xe9/1.csv")
    with pytest.raises(InputError, match="Rename one"):
        find_files(tmp_path, "series")


def test_masks_match_by_normal_form_and_whatever_their_capitals(tmp_path: Path) -> None:
    make(
        tmp_path, "Train/Good/1.png", "Test/good/1.png", f"Test/{NFC}/{NFD}.png", f"Test/{NFC}/2.png",
        f"Test/{NFC}/IMG_3.JPG", f"Ground_Truth/{NFD}/{NFC}_mask.png", f"Ground_Truth/{NFD}/2_MASK.png",
        f"Ground_Truth/{NFD}/img_3_Mask.png",
    )  # fmt: skip
    assert guess_layout(tmp_path)[0] == "mvtec"
    listing = find_files(tmp_path, "mvtec")
    assert {(file.class_name, file.part) for file in listing.files} == {
        ("good", "train"), ("good", "test"), (NFC, "test"),
    }  # fmt: skip
    masks = {file.path: file.mask for file in listing.files if file.class_name == NFC}
    assert masks == {
        f"Test/{NFC}/{NFD}.png": f"Ground_Truth/{NFD}/{NFC}_mask.png",
        f"Test/{NFC}/2.png": f"Ground_Truth/{NFD}/2_MASK.png",
        f"Test/{NFC}/IMG_3.JPG": f"Ground_Truth/{NFD}/img_3_Mask.png",
    }
    assert listing.skipped == ()


def test_each_of_two_forms_of_a_name_keeps_its_own_mask(tmp_path: Path) -> None:
    make(tmp_path, "train/good/1.png", f"test/cut/{NFC}.png", f"test/cut/{NFD}.png", f"ground_truth/cut/{NFC}_mask.png")
    masks = {file.path: file.mask for file in find_files(tmp_path, "mvtec").files if file.class_name == "cut"}
    assert masks == {f"test/cut/{NFC}.png": f"ground_truth/cut/{NFC}_mask.png", f"test/cut/{NFD}.png": None}


def test_depth_matches_by_normal_form_and_whatever_its_capitals(tmp_path: Path) -> None:
    for place in ("train/Normal", "test/anomaly"):
        make(tmp_path, f"{place}/RGB/{NFC}.png", f"{place}/Depth/{NFD}.png", f"{place}/MASK/{NFD}.png")
        make(tmp_path, f"{place}/RGB/2.png", f"{place}/Depth/2_DEPTH.png")
    assert guess_layout(tmp_path)[0] == "rgbd"
    listing = find_files(tmp_path, "rgbd")
    assert ListedFile(
        f"test/anomaly/RGB/{NFC}.png",
        "anomaly",
        "test",
        f"test/anomaly/Depth/{NFD}.png",
        f"test/anomaly/MASK/{NFD}.png",
    ) in (listing.files)
    assert {file.class_name for file in listing.files} == {"normal", "anomaly"}
    assert len(listing.files) == 4
    assert listing.skipped == ()


def test_lines_of_an_annotation_match_by_normal_form(tmp_path: Path) -> None:
    make(tmp_path, "Train/1.png", f"test/Imgs/{NFD}.png", "test/Imgs/2.png", f"test/Imgs/{LATIN}.png")
    (tmp_path / "test/Test_Annotation.txt").write_bytes(f"{NFC}.png 1\n2.png 0\n".encode() + b"caf\xe9.png 1\n")
    listing = find_files(tmp_path, "spill")
    assert {file.path: file.class_name for file in listing.files if file.part == "test"} == {
        f"test/Imgs/{NFD}.png": "spill", "test/Imgs/2.png": "normal", f"test/Imgs/{LATIN}.png": "spill",
    }  # fmt: skip
    assert (listing.skipped, listing.others) == ((), {})


@pytest.mark.parametrize("gone", ["test/crack", "train/good", "ground_truth/crack"])
def test_a_folder_of_mvtec_that_loses_all_is_an_error(tmp_path: Path, gone: str) -> None:
    make(tmp_path, "train/good/1.png", "test/good/1.png", "test/hole/1.png", "test/crack/1.png")
    make(tmp_path, "ground_truth/crack/1_mask.png", "license.txt")
    assert find_files(tmp_path, "mvtec").others == {".txt": 1}
    for path in (tmp_path / gone).iterdir():
        path.rename(path.with_suffix(".jp2"))
    with pytest.raises(InputError, match=rf"'{gone}' .*1 \.jp2"):
        find_files(tmp_path, "mvtec")


@pytest.mark.parametrize("gone", ["depth", "mask", "rgb"])
def test_depth_of_another_suffix_is_an_error(tmp_path: Path, gone: str) -> None:
    for place in ("train/normal", "test/anomaly"):
        make(tmp_path, *(f"{place}/{kind}/1.{'npy' if kind == gone else 'png'}" for kind in ("rgb", "depth", "mask")))
    with pytest.raises(InputError, match=rf"'test/anomaly/{gone}'.*\.npy"):
        find_files(tmp_path, "rgbd")


def test_depth_beside_the_pictures_of_another_suffix_is_named(tmp_path: Path) -> None:
    for place in ("train/normal", "test/anomaly"):
        make(tmp_path, f"{place}/1.png", f"{place}/1_depth.npy")
    with pytest.raises(InputError, match=r"None of the 2 pictures .* depth.*2 \.npy"):
        find_files(tmp_path, "rgbd")


@pytest.mark.parametrize(
    ("path", "bare", "suffix"),
    [
        ("a/b.csv", "a/b", ".csv"), ("a.d/b.c.CSV.GZ", "a.d/b.c", ".csv.gz"), ("x.tsv.gz", "x", ".tsv.gz"),
        ("x.JFIF", "x", ".jfif"), ("a.b/x", "a.b/x", ""), ("x.nii.gz", "x.nii.gz", ".nii.gz"), ("x.", "x.", ""),
        ("x.gz", "x.gz", ".gz"),
    ],
)  # fmt: skip
def test_a_packed_suffix_is_one(path: str, bare: str, suffix: str) -> None:
    assert (without_suffix(path), suffix_of(path)) == (bare, suffix)


def test_pairs_go_by_the_exact_name_first() -> None:
    assert paired(["a", "A"], {"A": "1"}) == {"A": "1"}
    assert paired([NFC, NFD], {NFD: "1", NFC: "2"}) == {NFC: "2", NFD: "1"}
    assert paired(["a", "b"], {"A": "1", "B": "2"}) == {"a": "1", "b": "2"}


def test_what_is_shown_is_printable() -> None:
    odd = os.fsdecode(b"\xff\n\xe2\x80\xae")
    assert quoted([odd]).isprintable()
    assert shown(odd).encode()
    assert class_names([odd])[0] == {odd: "\\xff\n\u202e"}

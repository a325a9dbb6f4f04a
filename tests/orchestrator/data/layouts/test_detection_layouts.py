"""The spill and MVTec layouts: what is taken as which kind and part, with which mask, and what is left out and why."""

from collections import Counter
from pathlib import Path

import pytest

from orchestrator.data.layouts.listing import Listing, Skipped
from orchestrator.data.layouts.table import find_files
from trainables.errors import InputError

SHARED = Path(__file__).parents[5] / "shared" / "data"


def counts(listing: Listing) -> Counter[tuple[str | None, str]]:
    return Counter((file.part, file.class_name) for file in listing.files)


def needed(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"needs the real data ../shared/data/{name}")
    return SHARED / name


def test_spill_pictures_have_kinds_and_parts(spill_tree: Path) -> None:
    listing = find_files(spill_tree, "spill")
    expected = {("train", "normal"): 20, ("validation", "spill"): 4, ("test", "normal"): 4, ("test", "spill"): 2}
    assert counts(listing) == expected
    assert listing.normal == "normal"
    assert {file.path for file in listing.files if file.part == "test" and file.class_name == "spill"} == {
        "test/imgs/4.png",
        "test/imgs/5.png",
    }
    assert listing.skipped == ()
    assert len(listing.remarks) == 1
    assert "taken as normal, which can't be checked" in listing.remarks[0]


def test_bad_lines_are_skipped_counted_and_explained(spill_tree: Path) -> None:
    lines = ["0.png 0", "1.png 0", "1.png 0", "2.png 0", "2.png 1", "gone.png 1", "3.png 2", "nonsense", "", "4.png\t1"]
    (spill_tree / "test/test_annotation.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    listing = find_files(spill_tree, "spill")
    tested = {file.path: file.class_name for file in listing.files if file.part == "test"}
    assert tested == {"test/imgs/0.png": "normal", "test/imgs/1.png": "normal", "test/imgs/4.png": "spill"}
    note = "test/test_annotation.txt"
    assert set(listing.skipped) == {
        Skipped(f"{note}:3", "a line that repeats an earlier one"),
        Skipped(f"{note}:5", "a line that contradicts an earlier one"),
        Skipped(f"{note}:6", "a line that names a missing picture"),
        Skipped(f"{note}:7", "a malformed line: it must be a name, a space, and 0 or 1"),
        Skipped(f"{note}:8", "a malformed line: it must be a name, a space, and 0 or 1"),
        Skipped("test/imgs/2.png", "annotated both 0 and 1"),
        Skipped("test/imgs/3.png", "a picture without a line in the annotation"),
        Skipped("test/imgs/5.png", "a picture without a line in the annotation"),
    }
    assert len(listing.remarks) == 1 + len({one.reason for one in listing.skipped})
    assert any(remark.startswith("2 left out") and "malformed" in remark for remark in listing.remarks)


def test_a_spill_tree_that_can_not_be_used_is_explained(spill_tree: Path) -> None:
    annotation = spill_tree / "test/test_annotation.txt"
    annotation.write_text("x\ny\n")
    with pytest.raises(InputError, match=r"No line of the annotation .*6 times: a picture without.*2 times: a malf"):
        find_files(spill_tree, "spill")
    annotation.unlink()
    with pytest.raises(InputError, match=r"can't be read: No such file.*name.jpg 0"):
        find_files(spill_tree, "spill")
    annotation.write_text("0.png 0\n")
    (spill_tree / "train").rename(spill_tree / "elsewhere")
    with pytest.raises(InputError, match="trains on normal pictures"):
        find_files(spill_tree, "spill")


def test_mvtec_pictures_have_kinds_parts_and_masks(mvtec_tree: Path) -> None:
    (mvtec_tree / "ground_truth/hole/001_mask.png").rename(mvtec_tree / "ground_truth/hole/001.png")
    (mvtec_tree / "ground_truth/hole/002_mask.png").unlink()
    listing = find_files(mvtec_tree, "mvtec")
    expected = {("train", "good"): 12, ("test", "good"): 4, ("test", "crack"): 3, ("test", "hole"): 3}
    assert counts(listing) == expected
    assert {file.path: file.mask for file in listing.files if file.class_name == "hole"} == {
        "test/hole/000.png": "ground_truth/hole/000_mask.png",
        "test/hole/001.png": "ground_truth/hole/001.png",
        "test/hole/002.png": None,
    }
    assert all(file.mask is None for file in listing.files if file.class_name == "good")


def test_mvtec_strays_are_skipped_and_counted(mvtec_tree: Path) -> None:
    for path in ("train/crack/9.png", "stray.png", "ground_truth/crack/lonely_mask.png", "validation/good/1.png"):
        (mvtec_tree / path).parent.mkdir(parents=True, exist_ok=True)
        (mvtec_tree / path).write_bytes((mvtec_tree / "test/good/000.png").read_bytes())
    listing = find_files(mvtec_tree, "mvtec")
    assert counts(listing)["validation", "good"] == 1
    assert dict(listing.skipped) == {
        "ground_truth/crack/lonely_mask.png": "a mask without its picture",
        "stray.png": "outside train/good/, test/<kind>/ and ground_truth/<kind>/",
        "train/crack/9.png": "in train, and only train/good trains",
    }
    assert len(listing.remarks) == 4


def test_an_mvtec_tree_that_can_not_be_used_is_explained(mvtec_tree: Path) -> None:
    (mvtec_tree / "train").rename(mvtec_tree / "was_train")
    with pytest.raises(InputError, match=r"holds none in train/good"):
        find_files(mvtec_tree, "mvtec")
    (mvtec_tree / "was_train").rename(mvtec_tree / "train")
    for kind in ("crack", "hole"):
        (mvtec_tree / "test" / kind).rename(mvtec_tree / kind)
    with pytest.raises(InputError, match=r"All 16 pictures .* are normal"):
        find_files(mvtec_tree, "mvtec")
    with pytest.raises(InputError, match="lies as the layout mvtec has it"):
        find_files(mvtec_tree / "crack", "mvtec")


def test_the_real_spill_tree() -> None:
    listing = find_files(needed("spill"), "spill")
    expected = {("train", "normal"): 10000, ("validation", "spill"): 154, ("test", "normal"): 1807}
    assert counts(listing) == expected | {("test", "spill"): 64}


def test_the_real_tile_tree() -> None:
    listing = find_files(needed("tile"), "mvtec")
    assert counts(listing)["train", "good"] == 400
    assert sum(file.mask is not None for file in listing.files) == 194
    assert all(file.mask is not None for file in listing.files if file.class_name != "good")

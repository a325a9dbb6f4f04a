"""`orchestrate inspect`: what is said of each layout and of what is wrong in it, and the contact sheet."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator.data.inspect.contact_sheet import OUTLINE, contact_sheet
from orchestrator.data.inspect.inspection import inspect
from orchestrator.data.inspect.inspection_text import inspection_json, inspection_text
from orchestrator.data.layouts.table import LayoutName, find_files, guess_layout
from orchestrator.data.split.make_split import SplitSettings, UndrawnFiles, make_split
from trainables.errors import InputError

SHARED = Path(__file__).parents[5] / "shared" / "data"
Orchestrate = Callable[..., Any]


@pytest.mark.parametrize("layout", ["spill", "mvtec", "rgbd", "mvtec3d"])
def test_the_layout_is_guessed_with_a_reason(layout: LayoutName, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(f"{layout}_tree")
    guessed, why = guess_layout(root)
    assert guessed == layout
    assert "there " in why or "train holds" in why
    assert guess_layout(root / "train")[0] in ("images", layout)


def test_class_folders_are_guessed_by_suffix(tmp_path: Path, series_tree: Path) -> None:
    assert guess_layout(series_tree) == ("series", "42 of 42 files are CSV")
    for name in ("train/good/1.png", "train/bad/1.png", "test/good/1.png"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True)
        (tmp_path / "tree" / name).write_bytes(b"x")
    assert guess_layout(tmp_path / "tree")[0] == "images"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="There are no other files"):
        guess_layout(tmp_path / "empty")


def test_all_that_is_wrong_is_counted(mvtec_tree: Path) -> None:
    truth, test = mvtec_tree / "ground_truth", mvtec_tree / "test"
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(truth / "crack/000_mask.png")
    Image.fromarray(np.full((9, 9), 255, np.uint8)).save(truth / "crack/001_mask.png")
    (truth / "crack/002_mask.png").unlink()
    (test / "hole/000.png").write_bytes(b"broken")
    (test / "hole/001.png").write_bytes((test / "good/000.png").read_bytes())
    (test / "good/001.png").write_bytes((mvtec_tree / "train/good/000.png").read_bytes())
    Image.fromarray(np.full((20, 30), 40000, np.uint16)).save(mvtec_tree / "train/good/003.png")
    seen = inspect(mvtec_tree)
    assert (seen.duplicates, seen.across, seen.conflicting) == (2, 2, 2)
    assert dict(seen.sizes) == {(12, 16): 20, (20, 30): 1}
    assert dict(seen.modes) == {"RGB": 20, "16-bit grey": 1}
    found = inspection_json(seen)
    assert found["masks"] == {"empty": 1, "size": 1, "missing": 1, "known": 2}
    assert found["skipped"] == [{"path": "test/hole/000.png", "reason": "no picture of a known format"}]
    assert found["classes"]["crack"] == {"train": 0, "test": 3}
    assert found["split"]["good"]["train"] + found["split"]["good"]["validation"] == 12
    text = inspection_text(seen)
    for line in (
        "layout mvtec (train holds one folder, good). The normal class is 'good'.",
        "12x16 (20), 20x30 (1)",
        "2 of 5 anomalies have one that can be used",
        "once: no picture of a known format, such as 'test/hole/000.png'",
        "Of 5 anomalies, 1 with a mask of another size than the picture",
        "2 files repeat another one's bytes; 2 have a copy in another part, 2 stand both as normal and as an anomaly",
    ):
        assert line in text


def test_a_split_that_can_not_be_made_is_explained_not_raised(tmp_path: Path) -> None:
    for number in range(10):
        for name in ("a", "b"):
            if name == "a" or number < 2:
                (tmp_path / name).mkdir(exist_ok=True)
                values = np.full((8, 8), 10 * number + ord(name), np.uint8)
                Image.fromarray(values).save(tmp_path / name / f"x_{number}.png")
    seen = inspect(tmp_path)
    assert seen.split is None
    assert "Class 'b' has too few" in inspection_text(seen)
    detection = inspect(tmp_path, normal="a")
    assert detection.split is not None
    assert len(detection.split.train) == 7
    grouped = inspect(tmp_path, normal="a", group=r"^(x)_")
    assert "of 1 different pictures" in grouped.refusal


def test_wrong_options_are_explained(mvtec_tree: Path) -> None:
    with pytest.raises(InputError, match=r"--group is '\(': group is no regular expression"):
        inspect(mvtec_tree, group="(")
    with pytest.raises(InputError, match="in the layout mvtec the normal class is 'good'"):
        inspect(mvtec_tree, normal="crack")
    with pytest.raises(InputError, match="must be one of the classes: crack, good, hole"):
        inspect(mvtec_tree / "test", layout="images", normal="ok")


@pytest.mark.parametrize(("layout", "lines"), [("mvtec", 1), ("rgbd", 2), ("mvtec3d", 2)])
def test_the_sheet_shows_each_class_with_outlines(
    layout: LayoutName, lines: int, request: pytest.FixtureRequest
) -> None:
    listing = find_files(request.getfixturevalue(f"{layout}_tree"), layout)
    sheet = np.asarray(contact_sheet(listing))
    classes = len({file.class_name for file in listing.files})
    assert sheet.shape[0] > 44 + classes * lines * 96
    outlined = (sheet == OUTLINE).all(axis=2)
    assert outlined.any()
    # The first row is the normal class, which has no outline.
    assert not outlined[: 44 + 96 * lines].any()


def test_the_sheet_of_series_and_of_broken_pictures(series_tree: Path, mvtec_tree: Path) -> None:
    sheet = np.asarray(contact_sheet(find_files(series_tree, "series")))
    assert (sheet[44:, 190:] < 200).any()
    for path in (mvtec_tree / "test").rglob("*.png"):
        path.write_bytes(b"x")
    assert contact_sheet(find_files(mvtec_tree, "mvtec")).height > 3 * 78


def test_the_command(orchestrate: Orchestrate, mvtec_tree: Path, tmp_path: Path) -> None:
    ended = orchestrate("inspect", mvtec_tree, "--json", "--sheet", tmp_path / "sheet.png")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["pictures"] == 22
    assert Image.open(tmp_path / "sheet.png").width > 1000
    assert "The split by default settings" in orchestrate("inspect", mvtec_tree).out
    for arguments in (
        ["--sheet", tmp_path / "sheet.jpg"],
        ["--sheet", tmp_path / "nowhere/sheet.png"],
        ["--layout", "spill"],
        ["--layout", "nonsense"],
        ["--normal", "x"],
    ):
        failed = orchestrate("inspect", mvtec_tree, *arguments)
        assert failed.code == 2
        assert "Traceback" not in failed.err


def test_the_command_needs_neither_torch_nor_ray(mvtec_tree: Path) -> None:
    code = (
        "import sys\nfrom orchestrator.cli.main import main\n"
        f"sys.argv = ['orchestrate', 'inspect', {str(mvtec_tree)!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'ray', 'matplotlib'} & set(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_the_real_traps_of_spill_are_seen() -> None:
    if not (SHARED / "spill").is_dir():
        pytest.skip("needs the real data ../shared/data/spill")
    seen = inspect(SHARED / "spill")
    assert seen.listing.layout.name == "spill"
    train = [row for row, part in enumerate(seen.found.parts) if part == "train"]
    assert len({seen.found.content[row] for row in train}) == 8296
    spills = [row for row, part in enumerate(seen.found.parts) if part == "validation"]
    assert len({seen.found.content[row] for row in spills}) == 117
    assert seen.conflicting >= 2
    assert seen.split is not None
    assert len(seen.split.validation) > 154
    # Frames of some 25 videos: most normals of validation stand in train too, all but; those of test come from others.
    assert seen.split.alike is not None
    assert seen.split.alike.counts["validation"] > 0.8 * (len(seen.split.validation) - 154)
    assert seen.split.alike.counts["test"] < 0.01 * len(seen.split.test)
    found = UndrawnFiles.of(seen.listing.files, seen.found.content)
    found = replace(found, sights=seen.found.sights, views=seen.found.views)
    grouped = make_split(found, SplitSettings(near_duplicates="group"), "normal")
    assert grouped.alike is not None
    assert grouped.alike.total < 30, "what the folders supply"
    assert len(grouped.validation) == len(seen.split.validation)


def test_what_is_left_out_for_its_suffix_is_said(series_tree: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(series_tree, tree)
    first = min(tree.iterdir())
    (first / "more.xlsx").write_bytes(b"x")
    (tree / os.fsdecode(b"caf\xe9")).symlink_to("gone")
    seen = inspect(tree, sheet=tmp_path / "sheet.png")
    text = inspection_text(seen)
    assert "Left out:    1 files or lines and 1 for the suffix" in text
    assert f"1 .xlsx (such as '{first.name}/more.xlsx')" in text
    assert r"a link to nothing, such as 'caf\xe9'" in text
    assert inspection_json(seen)["other_suffixes"] == {".xlsx": 1}


def test_of_series_it_says_what_a_rendering_would_leave_out(series_tree: Path) -> None:
    tree = series_tree.parent / "odd"
    shutil.copytree(series_tree, tree)
    first, second, third, *_ = sorted(tree.rglob("*.csv"))
    first.write_text("# logger 7\ntime,temp\n0,20.1\n1,\n2,ERR\n3,20.4\n")
    second.write_text("value\nnone\n")
    third.write_text("\f\n")
    seen = inspect(tree)
    assert [one.reason.partition(",")[0] for one in seen.skipped] == ["no numbers in column 'value'", "empty"]
    said = inspection_text(seen)
    assert "Plotting column 'time', the first of 2 ('time', 'temp'), in 1 of 40 files" in said
    assert "1 line outside of a table, in 1 of 40 files" in said
    for path in tree.rglob("*.csv"):
        path.write_text("\n")
    with pytest.raises(InputError, match=r"None of the .* can be read as a series\. The first, .*: empty"):
        inspect(tree)


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """40 pictures of two classes, named by four sources each; of 12 a moved copy, of 3 a BMP, of 2 the very file."""
    root = tmp_path / "copied"
    for number in range(40):
        path = root / f"{'ab'[number % 2]}/img{number % 8}_{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        beside = path.parent / f"img{number % 8}"
        if number < 12:
            Image.fromarray(np.roll(pixels, 1, axis=0)).save(f"{beside}_{100 + number}.png")
        elif number < 15:
            Image.fromarray(pixels).save(f"{beside}_{100 + number}.bmp")
        elif number < 17:
            shutil.copy(path, f"{beside}_{100 + number}.png")
    return root


def test_copies_by_pixels_and_near_duplicates_are_counted_and_shown(copied_tree: Path, tmp_path: Path) -> None:
    seen = inspect(copied_tree, sheet=tmp_path / "sheet.png")
    assert (seen.duplicates, seen.by_bytes, seen.near.tolist()) == (5, 2, [2] * 12)
    assert seen.split is not None
    assert seen.split.alike is not None
    text = inspection_text(seen)
    assert "Duplicates:  2 files repeat another one's bytes, 3 its pixels in other bytes; 0 have a copy" in text
    total = seen.split.alike.total
    assert total > 4
    assert f"24 files, in 12 groups of up to 2; {total} have one in another part of the split below, such as" in text
    first = seen.split.alike.pairs[0]
    assert f"'{first.one}' (" in text
    assert "grey levels RMS apart" in text
    assert "keep each source in one part: data.split.group: '^(.+)[_-]" in text
    found = inspection_json(seen)
    assert found["by_bytes"] == 2
    assert {key: found["near_duplicates"][key] for key in ("pictures", "groups", "apart")} == {
        "pictures": 24, "groups": 12, "apart": total,
    }  # fmt: skip
    pairs = found["near_duplicates"]["pairs"]
    assert pairs[0][:2] == [first.one, first.other]
    plain = contact_sheet(seen.listing)
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.height == plain.height + (1 + (len(pairs) > 4)) * (128 + 12)
    left, right = (
        np.asarray(sheet.crop((190 + at, plain.height, 318 + at, plain.height + 128)), dtype=float) for at in (0, 128)
    )
    # A row of 24 is four pixels here, and either may be the copy.
    moved = [np.abs(one[20:100] - other[24:104]).mean() for one, other in ((left, right), (right, left))]
    assert left.std() > 20
    assert min(moved) < 5 < max(moved)
    grouped = inspect(copied_tree, group=r"^(.+)_\d+$")
    assert "Names look as if" not in inspection_text(grouped)


def test_a_bound_on_what_is_decoded_is_said(copied_tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("orchestrator.data.inspect.content_look.MOST_PIXELS", 30 * 24 * 32)
    seen = inspect(copied_tree)
    text = inspection_text(seen)
    assert "The pixels of 30 of 57 pictures were compared, evenly spread; the other 27" in text
    assert 0 < len(seen.near) < 12
    assert 2 <= seen.duplicates <= 5
    assert seen.split is not None
    assert seen.split.alike is not None
    monkeypatch.setattr("orchestrator.data.inspect.content_look.MOST_FILES", 1)
    alone = inspect(copied_tree, sheet=tmp_path / "sheet.png")
    assert (alone.duplicates, len(alone.near)) == (2, 0)
    assert "Near-dupl.:  none" in inspection_text(alone)


def test_what_opens_but_can_not_be_decoded_is_compared_by_bytes(copied_tree: Path) -> None:
    cut = copied_tree / "a/img0_00.png"
    cut.write_bytes(cut.read_bytes()[:300])
    text = inspection_text(inspect(copied_tree))
    assert "The pixels of 56 of 57 pictures were compared" in text


def test_series_are_compared_by_their_numbers(series_tree: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(series_tree, tree)
    first, second, *_ = sorted(tree.rglob("*.csv"))
    first.with_name("again.csv").write_text(first.read_text().replace("\n", "\r\n"), newline="")
    lines = second.read_text().splitlines()
    at = lines[0].split(",").index("value") if "value" in lines[0] else 0
    rows = [line.split(",")[at] for line in lines]
    second.with_name("near.csv").write_text("\n".join([rows[0], *(f"{float(row):.3f}" for row in rows[1:])]) + "\n")
    seen = inspect(tree)
    assert (seen.duplicates, seen.by_bytes, seen.near.tolist()) == (1, 0, [2])
    assert "0 files repeat another one's bytes, 1 its numbers in other bytes" in inspection_text(seen)

"""A walk ends, reads each folder once, and lets no entry cost another."""

import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.data.layouts.listing import HIDDEN
from orchestrator.data.layouts.table import LAYOUTS, LayoutName, find_files, guess_layout
from orchestrator.data.layouts.walking import walk
from trainables.errors import InputError

SUFFIXES = (".csv", ".csv.gz")


def make(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def taken(root: Path) -> set[str]:
    return {f"{folder}/{name}".lstrip("/") for folder, names in walk(root, SUFFIXES).found.items() for name in names}


def test_a_bad_link_costs_no_other_entry(tmp_path: Path) -> None:
    names = [f"a/{number:03}.csv" for number in range(300)]
    make(tmp_path, *names)
    for name, target in {"000a": "000a", "0x.csv": "0x.csv", "b1": "b2", "b2": "b1", "c": "gone", "d.csv": "."}.items():
        (tmp_path / "a" / name).symlink_to(target)
    (tmp_path / "a/long").symlink_to("x" * 3000)
    tree = walk(tmp_path, SUFFIXES)
    assert len(tree.found["a"]) == 300
    reasons = dict(tree.skipped)
    assert {reasons[f"a/{name}"] for name in ("000a", "0x.csv", "b1", "b2")} == {"a link that leads to itself"}
    assert reasons["a/c"] == "a link to nothing"
    assert reasons["a/long"] == "can't be read: File name too long"
    assert "a folder" in reasons["a/d.csv"]


@pytest.fixture
def as_a_user() -> Iterator[Path]:
    """A folder that this test uses without the rights of root, which sees into every folder."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        if os.geteuid() != 0:
            yield Path(folder)
            return
        os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def test_a_link_into_a_closed_folder_costs_no_other_entry(as_a_user: Path) -> None:
    root, closed = as_a_user / "root", as_a_user / "closed"
    make(as_a_user, *(f"root/a/{number}.csv" for number in range(9)), "closed/in/1.csv", "root/a/shut/1.csv")
    (root / "a/4").symlink_to(closed / "in")
    (root / "a/5x.csv").symlink_to(closed / "in/1.csv")
    (root / "a/6").symlink_to(closed)
    closed.chmod(0)
    (root / "a/shut").chmod(0)
    try:
        tree = walk(root, SUFFIXES)
    finally:
        closed.chmod(0o755)
        (root / "a/shut").chmod(0o755)
    assert len(tree.found["a"]) == 9
    assert {one.path for one in tree.skipped} == {"a/4", "a/5x.csv", "a/6", "a/shut"}
    assert all("Permission denied" in one.reason for one in tree.skipped)


def test_folders_called_as_files_are_listed(tmp_path: Path) -> None:
    make(tmp_path, "a/1.csv", "a/spark.csv/part-0.csv", "b/1.csv")
    (tmp_path / "b/empty.csv").mkdir()
    (tmp_path / "b/2.csv.gz").mkdir()
    listing = find_files(tmp_path, "series")
    assert {one.path for one in listing.skipped} == {"a/spark.csv", "b/empty.csv", "b/2.csv.gz"}
    assert all("a folder, not a file" in one.reason for one in listing.skipped)
    assert "a/spark.csv/part-0.csv" in {file.path for file in listing.files}


def test_many_links_between_folders_end_at_once(tmp_path: Path) -> None:
    for number in range(25):
        make(tmp_path, f"d{number:02}/x.csv")
        for link in ("a", "z"):
            (tmp_path / f"d{number:02}/{link}").symlink_to(tmp_path / f"d{(number + 1) % 25:02}")
    tree = walk(tmp_path, SUFFIXES)
    assert len(tree.found) == 25
    assert len(tree.skipped) == 50
    assert all("read already" in one.reason for one in tree.skipped)


def test_real_folders_come_first_and_each_is_read_once(tmp_path: Path) -> None:
    make(tmp_path, "root/z/1.csv", "pool/x/2.csv")
    for name in ("a", "b"):
        (tmp_path / f"root/{name}").symlink_to(tmp_path / "root/z")
    for name in ("p", "q"):
        (tmp_path / f"root/{name}").symlink_to(tmp_path / "pool")
    tree = walk(tmp_path / "root", SUFFIXES)
    assert tree.found == {"z": ["1.csv"], "p/x": ["2.csv"]}
    assert dict(tree.skipped) == {
        "a": "a link to a folder that is read already, as 'z'",
        "b": "a link to a folder that is read already, as 'z'",
        "q": "a link to a folder that is read already, as 'p'",
    }


def test_a_link_to_what_the_root_lies_in_is_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "root/a/1.csv", "elsewhere/2.csv")
    (tmp_path / "root/a/up").symlink_to(tmp_path)
    (tmp_path / "root/a/top").symlink_to("/")
    tree = walk(tmp_path / "root", SUFFIXES)
    assert tree.found == {"a": ["1.csv"]}
    assert {one.reason for one in tree.skipped} == {"a link to a folder that it lies in"}


SYSTEM = ["@eaDir", "$RECYCLE.BIN", "#recycle", "System Volume Information", "lost+found", "__MACOSX", "found.000"]


@pytest.mark.parametrize("folder", [*SYSTEM, "a/@eaDir", ".Trash-1000"])
def test_system_folders_are_left_alone_and_said(tmp_path: Path, folder: str) -> None:
    make(tmp_path, "a/1.csv", "b/1.csv", f"{folder}/a/1.csv", f"{folder}/2.csv", f"{folder}/notes.txt")
    listing = find_files(tmp_path, "series")
    assert [file.path for file in listing.files] == ["a/1.csv", "b/1.csv"]
    assert (listing.skipped, listing.others) == ((), {})
    assert any(f"2 in '{folder}'" in remark for remark in listing.remarks)


def test_hidden_files_of_the_data_are_counted(tmp_path: Path) -> None:
    make(tmp_path, "a/1.csv", "a/._1.csv", "b/1.csv", "b/._1.csv", "b/.DS_Store")
    tree = walk(tmp_path, SUFFIXES)
    assert tree.apart[HIDDEN] == 2
    assert any("2 with names that begin with a dot" in remark for remark in find_files(tmp_path, "series").remarks)


def test_a_root_of_any_kind_is_explained(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for root in (tmp_path / "loop", tmp_path / ("x" * 300), Path("a\0b"), tmp_path / "no" / "thing"):
        with pytest.raises(InputError, match="data folder"):
            find_files(root, "series")


NAMES = [
    "a", "b", "train", "test", "val", "Train", "good", "normal", "rgb", "depth", "mask", "ground_truth", "proliv",
    "imgs", "x.csv", "y.png", "z.csv.gz", "u.tsv", "v.jfif", "w.txt", "no suffix", "café", "cafe\u0301",
    os.fsdecode(b"caf\xe9"), os.fsdecode(b"\xff.csv"), "x_mask.png", "x_depth.png", ".hidden", ".h.csv", "@eaDir",
    "__MACOSX", "new\nline.csv", "\u202eturn.csv", "-rf", "*", "sp ace .png", "{0}.csv", "%s.png", "a" * 200 + ".csv",
]  # fmt: skip
TREES: dict[str, list[str]] = {
    "series": ["a/1.csv", "b/1.csv"],
    "images": ["train/a/1.png", "train/b/1.png", "test/a/2.png"],
    "spill": ["train/1.png", "proliv/1.png", "test/imgs/0.png", "test/imgs/x.png", "test/test_annotation.txt"],
    "mvtec": ["train/good/1.png", "test/good/1.png", "test/crack/1.png", "ground_truth/crack/1_mask.png"],
    "rgbd": [f"{part}/{kind}/1.png" for part in ("train/normal", "test/anomaly") for kind in ("rgb", "depth", "mask")],
    "mvtec3d": ["train/good/rgb/1.png", "train/good/xyz/1.tiff", "test/cut/rgb/1.png", "test/cut/xyz/1.tiff"],
}


def grow(root: Path, chance: random.Random) -> None:
    """A tree of folders, files, pipes and links, of odd names."""
    folders = [root, *(path for path in sorted(root.rglob("*")) if path.is_dir())]
    everything = [*folders]
    for _ in range(chance.randrange(5, 60)):
        path = chance.choice(folders) / chance.choice(NAMES)
        if os.path.lexists(path) or len(os.fsencode(path)) > 3000:
            continue
        kind = chance.random()
        if kind < 0.35:
            path.mkdir()
            folders.append(path)
        elif kind < 0.75:
            path.write_bytes(chance.choice([b"", b"x", b"0.png 1\n", b"caf\xe9.png 0\n\xff"]))
        elif kind < 0.78:
            os.mkfifo(path)
        elif kind < 0.9:
            path.symlink_to(chance.choice(everything))
        else:
            path.symlink_to(chance.choice(["gone", ".", "..", "/", path.name, "../../..", "/dev/null", "/dev/zero"]))
        everything.append(path)


def in_view(root: Path) -> dict[str, list[str]]:
    """What `os.walk` finds in folders that are neither hidden nor a system's, but for hidden names."""
    view = {}
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".") and name not in ("@eaDir", "__MACOSX")]
        inside = os.path.relpath(folder, root)
        view["" if inside == "." else inside] = [name for name in names if not name.startswith(".")]
    return view


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_tree_is_walked_to_its_end_and_all_of_it_accounted_for(tmp_path: Path, layout: LayoutName) -> None:
    """The same 150 trees each time: all that is in view is taken, listed with a reason, or counted by its suffix."""
    row, usable, refused = LAYOUTS[layout], 0, list[str]()
    for seed in range(150):
        root = make(tmp_path / str(seed), *TREES[layout])
        if layout == "spill":
            (root / "test/test_annotation.txt").write_bytes(b"0.png 1\nx.png 0\ncaf\xe9.png 0\n\xff")
        grow(root, random.Random(seed))
        tree = walk(root, row.suffixes)
        assert tree == walk(root, row.suffixes)
        skipped = {one.path for one in tree.skipped}
        for folder, names in in_view(root).items():
            inside = f"{folder}/" if folder else ""
            left = [name for name in names if name not in tree.found.get(folder, []) and inside + name not in skipped]
            assert not [name for name in left if name.lower().endswith(row.suffixes)]
            assert len(left) == tree.others.get(folder, Counter()).total()
        try:
            listing = find_files(root, layout)
            guess_layout(root)
        except InputError as error:
            refused.append(str(error))
            continue
        usable += 1
        found = {f"{folder}/{name}" if folder else name for folder, names in tree.found.items() for name in names}
        used = {path for file in listing.files for path in (file.path, file.depth, file.mask) if path is not None}
        gone = found - used - {one.path for one in listing.skipped}
        # A mask of a normal picture is left alone.
        assert all(row.depth and ("_mask" in path or "/mask/" in path) for path in gone)
        assert used <= found
        assert all(remark.isprintable() for remark in listing.remarks)
        assert all(file.class_name.encode() for file in listing.files)
    assert usable > 15
    assert all(text.isprintable() for text in refused)

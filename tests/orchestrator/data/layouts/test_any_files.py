"""What is only drawn may lie anyhow: a tree without classes, a flat folder, single files."""

from pathlib import Path

import pytest

from orchestrator.data.layouts.table import find_any_files
from trainables.errors import InputError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path in ("a.csv", "b/c.csv", "b/d/e.TSV", "train/x/f.csv", "train/g.csv", "notes.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("value\n1\n2\n")
    return tmp_path


def test_every_file_of_a_tree_is_taken_and_others_are_told(tree: Path) -> None:
    listing = find_any_files([tree], "series")
    assert [(file.path, file.class_name, file.part) for file in listing.files] == [
        ("a.csv", tree.name, None),
        ("b/c.csv", "b", None),
        ("b/d/e.TSV", "b", None),
        ("train/g.csv", "train", None),
        ("train/x/f.csv", "train", None),
    ]
    assert "1 .txt" in listing.remarks[0]


def test_a_flat_folder_and_single_files_will_do(tree: Path) -> None:
    assert [file.path for file in find_any_files([tree / "b/d"], "series").files] == ["e.TSV"]
    one = find_any_files([tree / "a.csv"], "series")
    assert (one.root, [file.path for file in one.files]) == (tree, ["a.csv"])
    several = find_any_files([tree / "b/c.csv", tree / "train/x/f.csv", tree / "b/c.csv"], "series")
    assert (several.root, [file.path for file in several.files]) == (tree, ["b/c.csv", "train/x/f.csv"])


def test_what_is_no_file_of_series_is_refused(tree: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_any_files([tree / "nothing"], "series")
    with pytest.raises(InputError, match=r"notes\.txt' has another suffix"):
        find_any_files([tree / "notes.txt"], "series")
    with pytest.raises(InputError, match=r"b' is no file\. Give one folder, or files: \.csv"):
        find_any_files([tree / "a.csv", tree / "b"], "series")
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match=r"No \.csv, .* files in .*empty"):
        find_any_files([tree / "empty"], "series")

"""PNG files mirror the tree, show the store's pictures, and are written only where something changed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.data.fill.png_export import Export, WritePngs, png_targets
from orchestrator.data.store.index import Index, Row, Rows
from orchestrator.data.store.shards import write_shard
from orchestrator.data.store.store import Recipe, store_of
from trainables.errors import InputError
from trainables.small_files import FolderFiles

SHAPE = (4, 6, 3)
PICTURES = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    (tmp_path / "store/shards").mkdir(parents=True)
    sizes = [(4, 6), (3, 5), (4, 6)]
    shard = write_shard(tmp_path / "store/shards", ["x", "y", "z"], sizes, PICTURES).shard
    rows = [
        Row(f"{name}.csv", 0, None, content, *size, 0, 0, 0, 0, place)
        for place, (name, content, size) in enumerate(zip(["a/1", "b/1 '\n", "b/c/\udcff"], "xyz", sizes, strict=True))
    ]
    return Index("", SHAPE, "/data", None, "", ("a",), Rows.of(rows), (), (shard,))


def export(tmp_path: Path, index: Index, png: Path, plots: bool = False) -> list[str]:
    """Write what is missing; the targets written."""
    pictures = store_of(tmp_path / "store", Recipe("series", "plain", None, None, ""), index).pictures
    with Export(tmp_path / "store", png, index) as one:
        missing = one.missing()
        one.add(WritePngs(pictures, FolderFiles(png, made=False), plots).write(missing))
        return [target for target, *_ in missing]


def test_names_mirror_the_tree() -> None:
    assert png_targets(["a/b.csv", "a/c.d.CSV", "x/b.csv"]) == ["a/b.png", "a/c.d.png", "x/b.png"]
    assert png_targets(["a/b.csv.gz", "a/c.tsv", "a/d.TSV.GZ"]) == ["a/b.png", "a/c.png", "a/d.png"]
    assert png_targets(["a/b.csv", "a/b.csv.gz"]) == ["a/b.csv.png", "a/b.csv.gz.png"]
    assert png_targets(["a/b.csv", "a/b.CSV", "a/c.csv"]) == ["a/b.csv.png", "a/b.CSV.png", "a/c.png"]
    assert png_targets(["a/b.jpg", "a/b.png", "a/b.jpg.png"]) == ["a/b.jpg.png", "a/b.png.png", "a/b.jpg.png.png"]


@pytest.mark.parametrize("plots", [False, True])
def test_each_picture_is_written_at_its_true_size(tmp_path: Path, index: Index, plots: bool) -> None:
    assert export(tmp_path, index, tmp_path / "png", plots) == ["a/1.png", "b/1 '\n.png", "b/c/\udcff.png"]
    for row, picture in zip(index.rows.all(), PICTURES, strict=True):
        written = np.asarray(Image.open(tmp_path / "png" / row.path.replace(".csv", ".png")))
        assert np.array_equal(written, picture[: row.height, : row.width])
    assert not list((tmp_path / "png").rglob(".*"))


def test_only_what_changed_is_written_again(tmp_path: Path, index: Index) -> None:
    export(tmp_path, index, tmp_path / "png")
    assert export(tmp_path, index, tmp_path / "png") == []
    (tmp_path / "png/a/1.png").unlink()
    (tmp_path / "png/b/1 '\n.png").write_bytes(b"mine")
    assert export(tmp_path, index, tmp_path / "png") == ["a/1.png", "b/1 '\n.png"]
    rows = index.rows.all()
    newer = replace(index, rows=Rows.of([*rows[:2], rows[2]._replace(content="x", place=0)]))
    assert export(tmp_path, newer, tmp_path / "png") == ["b/c/\udcff.png"]
    assert len(export(tmp_path, replace(newer, identity="another"), tmp_path / "png")) == 3
    assert len(export(tmp_path, index, tmp_path / "another")) == 3


def test_nothing_is_written_outside_the_folder(tmp_path: Path, index: Index) -> None:
    (tmp_path / "png").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "png/a").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match=r"'a/1\.png': a link there leads out of the folder"):
        export(tmp_path, index, tmp_path / "png")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_folder_that_can_not_be_written_is_refused(tmp_path: Path, index: Index) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"can't be written: (Not a directory|File exists)"):
        export(tmp_path, index, tmp_path / "file")
    (tmp_path / "png").mkdir()
    (tmp_path / "png/a").write_text("x")
    with pytest.raises(InputError, match=r"can't be written: 'a/1\.png': (Not a directory|File exists)"):
        export(tmp_path, index, tmp_path / "png")

"""An index survives its file, whatever the names; a damaged one is none."""

from pathlib import Path

import pytest

from orchestrator.data.store.index import FailedRow, Index, Row, Rows, fingerprint, read_index, write_index
from orchestrator.data.store.shards import Shard

ROWS = [
    Row("a/1.csv", 0, "train", "content0", 4, 6, 10, 11, 12, 0, 0),
    Row("b/\udcff '\"\n日本.csv", 1, None, "content1", 4, 5, 20, 2**62, 22, 0, 1),
]
INDEX = Index(
    identity="identity",
    shape=(4, 6, 3),
    root="/data/\udcff",
    seen=None,
    fingerprint="fingerprint",
    classes=("a", "b"),
    rows=Rows.of(ROWS),
    failed=(FailedRow("a/\udcfe.csv", "empty", None, 1, 2, 3),),
    shards=(Shard("name", 2, 272, 2**62, 2**32 - 1),),
)


def test_an_index_survives_its_file(tmp_path: Path) -> None:
    write_index(tmp_path, INDEX)
    read = read_index(tmp_path)
    assert read == INDEX
    assert read is not None
    assert read.rows.all() == ROWS
    assert len(read.rows) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1, "shape": [1, 2, 3]}'])
def test_a_damaged_index_is_none(tmp_path: Path, text: str) -> None:
    assert read_index(tmp_path) is None
    (tmp_path / "index.json").write_text(text)
    assert read_index(tmp_path) is None


def test_the_fingerprint_is_of_paths_and_contents() -> None:
    files = [("a/1.csv", "x"), ("b/\udcff.csv", "y")]
    assert fingerprint(files) == fingerprint(iter(files))
    others = [files[:1], files[::-1], [("a/1.csv", "y"), ("b/\udcff.csv", "x")], [("a/2.csv", "x"), files[1]]]
    assert len({fingerprint(files), *map(fingerprint, others)}) == 5

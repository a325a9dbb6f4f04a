"""A worker reads, draws and writes its own shard, and returns only what became of each file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from builders.drawing import draw_batch
from builders.little_memory import little_memory
from PIL import Image

from orchestrator.data.files.content_hashes import content_hash
from orchestrator.data.fill.drawing import recipe_of
from orchestrator.data.store.shards import read_shard

RECIPE = recipe_of("images", "", (4, 6), None)
SHAPE = (4, 6, 3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "shards").mkdir()
    for number in range(3):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(tmp_path / f"a/{number} 'é\n\udcff.png")
    (tmp_path / "a/bad.png").write_bytes(b"x")
    return tmp_path


def test_a_batch_becomes_one_shard(root: Path) -> None:
    paths = sorted(f"a/{path.name}" for path in (root / "a").iterdir())
    worker = draw_batch(root, root / "shards", RECIPE, SHAPE)
    job = json.dumps([(path, None, None) for path in (*paths, "a/gone.png")]).encode("ascii")
    answer = worker(pa.table({"job": pa.array([job], pa.binary())}))
    result = json.loads(answer.column("result")[0].as_py())
    contents = [content_hash((root / path).read_bytes()) for path in paths]
    assert result["drawn"] == [[path, content, ""] for path, content in zip(paths[:3], contents[:3], strict=True)]
    assert result["failed"] == [
        ["a/bad.png", contents[3], "no picture of a known format", False],
        ["a/gone.png", None, "can't be read: No such file or directory", False],
    ]
    name = result["shard"][0][0]
    shard = read_shard(root / "shards", name, SHAPE)
    assert shard is not None
    assert list(shard.keys) == [RECIPE.key(content) for content in contents[:3]]
    assert np.load(root / f"shards/{name}.npy")[:, 0, 0].tolist() == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]


def test_a_batch_without_pictures_writes_nothing(root: Path) -> None:
    result = draw_batch(root, root / "shards", RECIPE, SHAPE).draw([("a/bad.png", None, None)])
    assert (result["drawn"], result["shard"]) == ([], None)
    assert list((root / "shards").iterdir()) == []


def test_a_disk_that_refuses_is_told_not_raised(root: Path) -> None:
    result = draw_batch(root, root / "nowhere", RECIPE, SHAPE).draw([("a/0 'é\n\udcff.png", None, None)])
    assert (result["error"], result["shard"]) == ("No such file or directory", None)


def test_a_file_that_memory_can_not_hold_is_left_out(root: Path) -> None:
    huge = root / "a/huge.png"
    with huge.open("wb") as file:
        file.truncate(2**29)
    worker = draw_batch(root, root / "shards", RECIPE, SHAPE)
    with little_memory():
        result = worker.draw([("a/huge.png", None, None)])
    assert result["failed"] == [("a/huge.png", None, "too large for this machine's memory", False)]


def test_a_worker_of_other_versions_refuses_to_draw(root: Path) -> None:
    with pytest.raises(RuntimeError, match=r"would draw other pixels .* Install the same versions"):
        draw_batch(root, root / "shards", replace(RECIPE, identity="older"), SHAPE)

"""Small trees of each detection layout, and a store filled in this process."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from builders.drawing import draw_batch
from PIL import Image

from orchestrator.data.files.content_hashes import look_at
from orchestrator.data.files.picture_layers import planes_of
from orchestrator.data.fill.drawing import recipe_of, shape_of
from orchestrator.data.fill.store_entries import Filling
from orchestrator.data.fill.value_range import look_into, settled_bits
from orchestrator.data.layouts.table import LayoutName, find_files
from orchestrator.data.store.store import Store, store_of
from orchestrator.data.store.upkeep import claimed, finish

Fill = Callable[..., Store]


def save(path: Path, values: np.ndarray) -> None:
    """Write a picture, a depth or a mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tiff":
        tifffile.imwrite(path, values, photometric="rgb")
    else:
        Image.fromarray(values).save(path)


def picture(seed: int, height: int = 12, width: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def mask(height: int = 12, width: int = 16, value: int = 255) -> np.ndarray:
    """A defect of 4 x 6 pixels."""
    drawn = np.zeros((height, width), dtype=np.uint8)
    drawn[2:6, 4:10] = value
    return drawn


def depth_of(seed: int) -> np.ndarray:
    """16-bit depth whose first pixel is unknown."""
    values = np.random.default_rng(seed + 1000).integers(1, 65536, (12, 16)).astype(np.uint16)
    values[0, 0] = 0
    return values


@pytest.fixture
def spill_tree(tmp_path: Path) -> Path:
    """20 normal pictures, 4 spills for validation, 6 test pictures of which 2 are spills."""
    root = tmp_path / "spill"
    for number in range(20):
        save(root / f"train/{number:02}.png", picture(number))
    for number in range(4):
        save(root / f"proliv/{number}.png", picture(100 + number))
    for number in range(6):
        save(root / f"test/imgs/{number}.png", picture(200 + number))
    annotation = "".join(f"{number}.png {int(number >= 4)}\n" for number in range(6))
    (root / "test/test_annotation.txt").write_text(annotation)
    return root


@pytest.fixture
def mvtec_tree(tmp_path: Path) -> Path:
    """12 good pictures to train, 4 good ones, 3 cracks and 3 holes to test, each defect with its mask."""
    root = tmp_path / "mvtec"
    for number in range(12):
        save(root / f"train/good/{number:03}.png", picture(number))
    for at, (kind, count) in enumerate({"good": 4, "crack": 3, "hole": 3}.items()):
        for number in range(count):
            save(root / f"test/{kind}/{number:03}.png", picture(100 * (at + 1) + number))
            if kind != "good":
                save(root / f"ground_truth/{kind}/{number:03}_mask.png", mask())
    return root


@pytest.fixture
def rgbd_tree(tmp_path: Path) -> Path:
    """Normal pictures: 6 to train, 3 to validate, 3 to test; 3 anomalies with masks."""
    root = tmp_path / "rgbd"
    seed = 0
    for place, count in {"train/normal": 6, "val/normal": 3, "test/normal": 3, "test/anomaly": 3}.items():
        for number in range(count):
            seed += 1
            save(root / f"{place}/rgb/{number}.jpg", picture(seed))
            save(root / f"{place}/depth/{number}.png", depth_of(seed))
            if place == "test/anomaly":
                save(root / f"{place}/mask/{number}.png", mask())
    return root


@pytest.fixture
def mvtec3d_tree(tmp_path: Path) -> Path:
    """Good pictures: 4 to train, 2 to validate, 2 to test; 2 holes. Masks of good pictures too, as in the original."""
    root = tmp_path / "mvtec3d"
    seed = 0
    for place, count in {"train/good": 4, "validation/good": 2, "test/good": 2, "test/hole": 2}.items():
        for number in range(count):
            seed += 1
            points = np.random.default_rng(seed).uniform(0.5, 2, (12, 16, 3)).astype(np.float32)
            points[0, 0] = 0
            save(root / f"{place}/rgb/{number:03}.png", picture(seed))
            save(root / f"{place}/xyz/{number:03}.tiff", points)
            if place.startswith("test"):
                save(root / f"{place}/gt/{number:03}.png", mask(value=255 if place == "test/hole" else 0))
    return root


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """(root, layout, size, bits, sights) -> the store of a tree, filled without Ray; the same folder each time."""

    def filled(
        root: Path,
        layout: LayoutName,
        size: tuple[int, int] | None = None,
        bits: int | None = None,
        sights: bool = False,
    ) -> Store:
        listing = find_files(root, layout)
        looks, folder = look_at(listing), tmp_path / "store"
        facts = look_into(listing, looks, folder)
        used = settled_bits(facts, bits, folder, resumed=False)
        recipe = recipe_of(layout, "plain", size, None, planes_of(listing.files), bits=used)
        shape = shape_of(recipe, listing)
        with claimed(folder, recipe) as before:
            filling = Filling(listing, looks, folder, recipe, shape, before, facts, sights)
            worker = draw_batch(root, folder / "shards", recipe, shape)
            jobs = filling.missing()
            for start in range(0, len(jobs), 8):
                filling.add(json.loads(json.dumps(worker.draw(jobs[start : start + 8]))))
            return store_of(folder, recipe, finish(folder, recipe, filling.index()))

    return filled

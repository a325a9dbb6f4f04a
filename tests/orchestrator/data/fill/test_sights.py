"""From files to a split: what shows the same is one content whatever its bytes, and stores of before know nothing."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.data.fill.pipeline import DRAWN_AGAIN, fill_store
from orchestrator.data.split.make_split import SplitSettings, make_split
from orchestrator.data.split.split import Split
from orchestrator.data.store.index import read_index
from orchestrator.data.store.store import Store, open_store
from orchestrator.data.store.upkeep import knows_sights

Fill = Callable[..., Store]
GROUP = SplitSettings(near_duplicates="group")


def smooth(seed: int, height: int = 40, width: int = 56) -> Image.Image:
    drawn = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(drawn).resize((width, height), Image.Resampling.BICUBIC)


def moved(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.roll(np.asarray(picture), 1, axis=1))


def lit(picture: Image.Image) -> Image.Image:
    return picture.point(lambda value: min(255, round(value * 1.05)))


NEAR: dict[str, Callable[[Image.Image, Path], object]] = {
    "jpeg": lambda one, path: one.save(path.with_suffix(".jpg"), quality=80),
    "moved": lambda one, path: moved(one).save(path),
    "lit": lambda one, path: lit(one).save(path),
}
SAME: dict[str, Callable[[Image.Image, Path], object]] = {
    "bmp": lambda one, path: one.save(path.with_suffix(".bmp")),
    "tiff": lambda one, path: one.save(path.with_suffix(".tiff")),
    "uncompressed": lambda one, path: one.save(path, compress_level=0),
}


def pictures_with(root: Path, copy: Callable[[Image.Image, Path], object], count: int = 40) -> Path:
    """So many pictures of two classes, and a copy of each beside it."""
    for number in range(count):
        path = root / f"{'ab'[number % 2]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        smooth(number).save(path, compress_level=6)
        copy(smooth(number), path.with_name(f"copy {number}.png"))
    return root


def apart(split: Split) -> int:
    """How many copies stand in another part than what they are copies of."""
    parts = {path.rpartition("/")[2].rpartition(".")[0]: part
             for path, part in zip(split.paths, split.part_names(), strict=True)}  # fmt: skip
    return sum(parts[name] != parts[f"copy {name}"] for name in parts if not name.startswith("copy"))


@pytest.mark.parametrize("name", NEAR)
def test_near_duplicates_fall_apart_counted_or_not_at_all(tmp_path: Path, fill: Fill, name: str) -> None:
    store = fill(pictures_with(tmp_path / "tree", NEAR[name]), "images", (40, 56))
    counted = make_split(store, SplitSettings())
    assert counted.alike is not None
    assert apart(counted) > 10
    assert counted.alike.total == 2 * apart(counted)
    assert (counted.duplicates, counted.by_bytes) == (0, 0)
    assert apart(make_split(store, GROUP)) == 0


@pytest.mark.parametrize("name", SAME)
def test_equal_pixels_stay_together_without_any_key(tmp_path: Path, fill: Fill, name: str) -> None:
    split = make_split(fill(pictures_with(tmp_path / "tree", SAME[name]), "images", (40, 56)), SplitSettings())
    assert apart(split) == 0
    assert (split.duplicates, split.by_bytes) == (40, 0)
    assert split.alike is not None
    assert split.alike.total == 0


def with_commas(values: Sequence[float]) -> str:
    rows = [f"{at};{value!r}".replace(".", ",") for at, value in enumerate(values)]
    return "\n".join(["t;value", *rows, ""])


NOTATIONS: dict[str, Callable[[Sequence[float]], str]] = {
    "windows": lambda values: "value\r\n" + "".join(f"{value!r}\r\n" for value in values),
    "comma": with_commas,
    "digits": lambda values: "value\n" + "".join(f"{value:.15e}\n" for value in values),
    "column": lambda values: "value,other\n" + "".join(f"{value!r},1\n" for value in values),
}


def series_with(root: Path, copy: Callable[[list[float]], str], count: int = 40) -> Path:
    for number in range(count):
        values = np.random.default_rng(number).normal(size=30).cumsum().tolist()
        path = root / f"{'ab'[number % 2]}/{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("value\n" + "".join(f"{value!r}\n" for value in values))
        path.with_name(f"copy {number}.csv").write_text(copy(values), newline="")
    return root


@pytest.mark.parametrize("name", NOTATIONS)
def test_equal_numbers_stay_together_without_any_key(tmp_path: Path, fill: Fill, name: str) -> None:
    split = make_split(fill(series_with(tmp_path / "tree", NOTATIONS[name]), "series", (12, 16)), SplitSettings())
    assert apart(split) == 0
    assert (split.duplicates, split.by_bytes) == (40, 0)


def test_series_that_are_nearly_the_same_are_near_duplicates(tmp_path: Path, fill: Fill) -> None:
    def rounded(values: list[float]) -> str:
        return "value\n" + "".join(f"{value:.2f}\n" for value in values)

    store = fill(series_with(tmp_path / "tree", rounded), "series", (12, 16))
    assert make_split(store, SplitSettings()).alike is not None
    assert apart(make_split(store, SplitSettings())) > 10
    assert apart(make_split(store, GROUP)) == 0


def forget(folder: Path) -> None:
    """Make a store one that an older release filled."""
    for shard in (folder / "shards").glob("*.json"):
        described = json.loads(shard.read_text())
        del described["sights"], described["views"]
        shard.write_text(json.dumps(described))
        shard.with_suffix(".views").unlink()
    index = json.loads((folder / "index.json").read_text())
    del index["rows"]["sight"]
    (folder / "index.json").write_text(json.dumps(index))


def test_a_store_of_before_is_drawn_again_only_where_sights_are_asked_for(tmp_path: Path, fill: Fill) -> None:
    root = pictures_with(tmp_path / "tree", SAME["bmp"], 10)
    first = fill(root, "images", (8, 8))
    folder = tmp_path / "store"
    forget(folder)
    old = open_store(folder)
    assert (set(old.sights), old.views, old.content) == ({""}, None, first.content)
    by_bytes = make_split(old, GROUP)
    assert (by_bytes.duplicates, by_bytes.by_bytes, by_bytes.alike) == (0, None, None)
    before = sorted(path.name for path in (folder / "shards").iterdir())
    fill(root, "images", (8, 8))
    assert sorted(path.name for path in (folder / "shards").iterdir()) == before
    again = fill(root, "images", (8, 8), sights=True)
    assert again.sights == first.sights
    assert again.fingerprint == first.fingerprint
    assert again.views is not None
    assert first.views is not None
    assert np.array_equal(again.views[np.arange(20)], first.views[np.arange(20)])
    assert np.array_equal(again.pictures[np.arange(20)], first.pictures[np.arange(20)])


@pytest.mark.usefixtures("ray_session")
def test_what_is_drawn_again_is_said_once(tmp_path: Path) -> None:
    root, folder = pictures_with(tmp_path / "tree", SAME["bmp"], 6), tmp_path / "store"
    asked = {"layout": "images", "size": (8, 8), "sights": True}
    assert fill_store(root, folder, **asked).rendered == 12  # type: ignore[arg-type]
    assert fill_store(root, folder, **asked).remarks == ()  # type: ignore[arg-type]
    forget(folder)
    index = read_index(folder)
    assert index is not None
    assert not knows_sights(folder, index, plots=False)
    filled = fill_store(root, folder, **asked)  # type: ignore[arg-type]
    assert (filled.rendered, filled.remarks) == (12, (DRAWN_AGAIN,))
    next((folder / "shards").glob("*.views")).unlink()
    assert fill_store(root, folder, **asked).rendered > 0  # type: ignore[arg-type]
    assert fill_store(root, folder, **asked).rendered == 0  # type: ignore[arg-type]

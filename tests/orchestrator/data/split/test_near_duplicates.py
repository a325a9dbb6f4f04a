"""Copies that were compressed, moved or lit otherwise are found, others are not, and memory and pairs are bounded."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.data.files.picture_layers import FullPicture
from orchestrator.data.files.series import read_series
from orchestrator.data.files.sight import picture_sight, series_sight
from orchestrator.data.split import near_duplicates
from orchestrator.data.split.near_duplicates import near_groups, partners_elsewhere

SHARED = Path(__file__).parents[5] / "shared" / "data"
Copy = Callable[[np.ndarray], np.ndarray]


def jpeg(picture: np.ndarray, quality: int = 75) -> np.ndarray:
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=quality)
    return np.asarray(Image.open(written))


COPIES: dict[str, Copy] = {
    "jpeg": jpeg,
    "right": lambda one: np.roll(one, 1, axis=1),
    "up": lambda one: np.concatenate([one[1:], one[-1:]]),
    "brighter": lambda one: (one * 1.05).clip(0, 255).astype(np.uint8),
    "darker": lambda one: (one * 0.95).astype(np.uint8),
    "all": lambda one: jpeg((np.roll(one, (1, -1), (0, 1)) * 1.05).clip(0, 255).astype(np.uint8)),
}


def shapes(count: int, size: int = 64) -> list[np.ndarray]:
    """Blocks of colour with a little noise."""
    drawn = np.random.default_rng(0)
    pictures = []
    for _ in range(count):
        picture = np.full((size, size, 3), drawn.integers(60, 200), dtype=float)
        for _ in range(4):
            top, left = drawn.integers(0, size - 12, 2)
            high, wide = drawn.integers(8, size // 2, 2)
            picture[top : top + high, left : left + wide] = drawn.integers(0, 256, 3)
        pictures.append((picture + drawn.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8))
    return pictures


def noise(count: int, size: int = 48) -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def seen(pictures: list[np.ndarray]) -> np.ndarray:
    return np.stack([picture_sight(FullPicture(Image.fromarray(one), None)).views for one in pictures])


def all_different(views: np.ndarray) -> np.ndarray:
    return np.arange(len(views), dtype=np.int64)


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("made", [shapes, noise])
def test_a_copy_is_found_and_nothing_else(made: Callable[[int], list[np.ndarray]], name: str) -> None:
    pictures = made(40)
    views = seen([*pictures, *map(COPIES[name], pictures)])
    groups = near_groups(views, all_different(views))
    assert np.array_equal(groups[:40], groups[40:])
    assert len(set(groups.tolist())) == 40


def test_a_large_picture_again_is_found() -> None:
    large = [np.asarray(Image.fromarray(one).resize((1100, 700))) for one in shapes(6)]
    views = seen([*large, *map(COPIES["all"], large)])
    assert (
        near_groups(views, all_different(views)).tolist()[:6] == near_groups(views, all_different(views)).tolist()[6:]
    )


def test_what_is_much_brighter_or_differs_in_one_place_is_another() -> None:
    first = shapes(1)[0]
    spotted = first.copy()
    spotted[30:36, 30:36] = 255 - spotted[30:36, 30:36]
    stretched = ((first.astype(float) - 128) * 3 + 128).clip(0, 255).astype(np.uint8)
    views = seen([first, spotted, stretched])
    assert len(set(near_groups(views, all_different(views)).tolist())) == 3


def test_chains_are_one_group_and_equal_content_joins() -> None:
    first, other = shapes(2)
    steps = [first]
    for _ in range(3):
        steps.append(np.roll(steps[-1], 1, axis=1))
    views = seen([*steps, other, other])
    assert near_groups(views, np.array([0, 1, 2, 3, 4, 4])).tolist() == [0, 0, 0, 0, 1, 1]


def test_partners_are_in_another_part_and_show_something_else() -> None:
    one, two, three = shapes(3)
    moved, lit = COPIES["right"](one), COPIES["darker"](two)
    views = seen([one, moved, two, lit, three, three, one])
    contents = np.array([0, 1, 2, 3, 4, 4, 0])
    partners = partners_elsewhere(views, contents, np.array([0, 1, 0, 0, 0, 2, 0]))
    # The copies of the third are the same content, those of the second stand in one part.
    assert partners.rows.tolist() == [1, 0, -1, -1, -1, -1, 1]
    assert partners.errors[[0, 1, 6]].max() < 0.1
    assert np.isinf(partners.errors[2:6]).all()
    assert partners_elsewhere(views, contents, np.array([0, -1, 0, -1, 0, 2, 0])).rows.tolist() == [-1] * 7


def test_of_several_the_nearest_is_named() -> None:
    (one,) = shapes(1)
    views = seen([one, jpeg(one, 50), jpeg(one, 95)])
    assert partners_elsewhere(views, np.arange(3), np.array([1, 0, 0])).rows.tolist() == [2, 0, 0]


def test_blocks_chunks_and_projection_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = shapes(60)
    views = seen([*pictures, *map(COPIES["all"], pictures[:30]), *[COPIES["darker"](pictures[0])] * 20])
    numbers = all_different(views)
    expected = near_groups(views, numbers).tolist()
    assert len(set(expected)) == 60
    monkeypatch.setattr(near_duplicates, "BLOCK", 7)
    monkeypatch.setattr(near_duplicates, "CHUNK", 5)
    monkeypatch.setattr(near_duplicates, "FREQUENCIES", 3)
    assert near_groups(views, numbers).tolist() == expected


def test_a_still_video_needs_few_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    (still,) = shapes(1)
    drawn = np.random.default_rng(0)
    frames = [(still + drawn.normal(0, 2, still.shape)).clip(0, 255).astype(np.uint8) for _ in range(400)]
    views, compared = seen(frames), [0]
    errors = near_duplicates._Projected.errors

    def counted(self: near_duplicates._Projected, left: np.ndarray, right: np.ndarray, moves: np.ndarray) -> np.ndarray:
        compared[0] += len(left)
        return errors(self, left, right, moves)

    monkeypatch.setattr(near_duplicates._Projected, "errors", counted)
    assert set(near_groups(views, np.arange(400)).tolist()) == {0}
    assert (partners_elsewhere(views, np.arange(400), np.arange(400) % 3).rows >= 0).all()
    # Of 79,800 pairs in nine moves.
    assert compared[0] < 10 * near_duplicates.CHUNK


def test_series_are_compared_by_their_values() -> None:
    drawn = np.random.default_rng(0)
    series = [np.cumsum(drawn.normal(size=length)) for length in (90, 200, 200, 1000)]
    copies = [1.05 * one + drawn.normal(0, 0.005 * one.std(), len(one)) for one in series]
    others = [series[0][:-9], np.roll(series[1], 1), 2 * series[2], np.linspace(0, 1, 200), np.linspace(3, 1, 200)]
    views = np.stack([series_sight(one).views for one in [*series, *copies, *others]])
    groups = near_groups(views, all_different(views)).tolist()
    assert groups[4:8] == groups[:4]
    assert groups[9] == groups[1], "moved by one value"
    assert len(set(groups)) == 8, "another length, twice as large, and two lines are others"


def test_constant_series_of_one_length_are_alike() -> None:
    views = np.stack([series_sight(np.full(length, level)).views for length, level in ((9, 1.0), (9, 4.0), (10, 1.0))])
    assert near_groups(views, np.arange(3)).tolist() == [0, 0, 1]


def test_different_real_series_and_their_plots_are_told_apart() -> None:
    if not (SHARED / "series").is_dir():
        pytest.skip("needs the real data ../shared/data/series and ../shared/data/plots")
    series = [series_sight(read_series(path).values).views for path in sorted((SHARED / "series").rglob("*.csv"))]
    assert len(set(near_groups(np.stack(series), np.arange(len(series))).tolist())) == len(series)
    paths = sorted((SHARED / "plots").rglob("*.png"))[::4]
    plots = seen([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    assert len(set(near_groups(plots, np.arange(len(plots))).tolist())) >= len(plots) - 1

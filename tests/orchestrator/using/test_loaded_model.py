"""A kept model scores new pictures: arrays, or files prepared as its training's were."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.kept_models import SIDE, trained
from numpy.typing import NDArray
from PIL import Image

from orchestrator import InputError, load_model
from orchestrator.using.loaded_model import LoadedModel
from trainables.interface import UNKNOWN, Samples


@pytest.fixture(scope="module")
def tiles() -> Samples:
    """Twelve normal pictures with depth, of which the second half lies a metre deeper."""
    random = np.random.default_rng(0)
    depth = random.uniform(1, 2, (12, SIDE, SIDE)).astype(np.float32)
    depth[6:] += 1
    pictures = random.integers(0, 255, (12, SIDE, SIDE, 3), dtype=np.uint8)
    return Samples(pictures, np.zeros(12, np.int64), ("normal", "anomaly"), tuple(map(str, range(12))), depth=depth)


@pytest.fixture(scope="module")
def of_tiles(tmp_path_factory: pytest.TempPathFactory, tiles: Samples) -> LoadedModel:
    """A detector of pictures with depth, which has maps."""
    config = {"input": "rgbd", "backbone": "shufflenet_v2_x0_5", "weights": "none", "layers": [1, 2]}
    quick = {"grid": 8, "latent_dim": 4, "batch_size": 8}
    return trained(tmp_path_factory.mktemp("kept"), "feature_autoencoder", tiles, {"layout": "rgbd"}, **config, **quick)


def test_csvs_are_drawn_as_the_training_s_were(of_series: LoadedModel, series: Samples) -> None:
    scores = of_series.predict(series.paths).scores
    assert scores.shape == (42, 3)
    np.testing.assert_array_equal(scores, of_series.predict(series).scores)
    assert (scores.argmax(axis=1) == series.labels).mean() > 0.9


def test_an_array_is_taken_as_it_is(of_series: LoadedModel, series: Samples) -> None:
    pictures = np.asarray(series.pictures)
    np.testing.assert_array_equal(of_series.predict(pictures).scores, of_series.predict(series).scores)
    np.testing.assert_array_equal(of_series.predict(pictures[:1]).scores, of_series.predict(series.paths[0]).scores)
    assert of_series.predict(Path(series.paths[0])).scores.shape == (1, 3)


@pytest.mark.parametrize("nothing", [[], np.empty((0, SIDE, SIDE, 3), np.uint8)])
def test_of_nothing_nothing_comes(of_series: LoadedModel, nothing: Any) -> None:
    assert of_series.predict(nothing).scores.shape == (0, 3)


def test_labels_are_not_made_up(of_series: LoadedModel, series: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Samples] = []
    predict = of_series.model.predict
    monkeypatch.setattr(of_series.model, "predict", lambda samples: seen.append(samples) or predict(samples))
    of_series.predict(series.paths[:3])
    (samples,) = seen
    assert list(samples.labels) == [UNKNOWN] * 3
    assert samples.paths == series.paths[:3]


def test_pictures_are_resized(tmp_path: Path, of_series: LoadedModel, series: Samples) -> None:
    model = trained(tmp_path / "model", "pca_logistic", series, {"layout": "images"}, components=4)
    large = np.asarray(series.pictures)[0].repeat(3, axis=0).repeat(3, axis=1)
    Image.fromarray(large).save(tmp_path / "large.png")
    small = np.asarray(Image.fromarray(large).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(model.predict(tmp_path / "large.png").scores, model.predict(small[None]).scores)


@pytest.mark.parametrize(("reading", "alike"), [({"bits": 12, "upright": True}, True), ({}, False)])
def test_pictures_are_read_as_the_training_s_were(
    tmp_path: Path, series: Samples, reading: dict[str, Any], alike: bool
) -> None:
    """12 bits in 16, and turned; a model of an older release goes on as it was trained."""
    model = trained(tmp_path / "model", "pca_logistic", series, {"layout": "images", **reading}, components=4)
    grey = np.asarray(series.pictures)[0, ..., 0]
    exif = Image.Exif()
    exif[0x0112] = 3
    deep = ((np.rot90(grey, 2).astype(np.int64) * 4095 + 127) // 255).astype(np.uint16)
    Image.fromarray(np.ascontiguousarray(deep)).save(tmp_path / "deep.png", exif=exif)
    straight = np.repeat(grey[..., None], 3, axis=2)[None]
    same = np.array_equal(model.predict(tmp_path / "deep.png").scores, model.predict(straight).scores)
    assert same == alike


def test_a_value_above_the_model_s_bits_is_an_error_of_that_file(tmp_path: Path, series: Samples) -> None:
    model = trained(tmp_path / "model", "pca_logistic", series, {"layout": "images", "bits": 12}, components=4)
    Image.fromarray(np.full((SIDE, SIDE), 4096, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match=r"deep.png' can't be used: a value of 4096, and pictures of 12 bits end"):
        model.predict(tmp_path / "deep.png")


def test_depth_goes_along(tmp_path: Path, of_tiles: LoadedModel, tiles: Samples) -> None:
    expected = of_tiles.predict(tiles)
    pictures, depth = np.asarray(tiles.pictures), np.asarray(tiles.depth)
    found = of_tiles.predict(pictures, depth=depth)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert found.maps is not None
    assert found.maps.shape == (12, SIDE, SIDE)
    assert not np.array_equal(of_tiles.predict(pictures, depth=depth[::-1].copy()).scores, expected.scores)
    files = []
    for row in range(2):
        colour, deep = tmp_path / f"{row}.png", tmp_path / f"{row}_depth.png"
        Image.fromarray(pictures[row]).save(colour)
        Image.fromarray((depth[row] * 1000).astype(np.uint16)).save(deep)
        files.append((colour, deep))
    as_read = of_tiles.predict(pictures[:2], depth=(depth[:2] * 1000).astype(np.uint16).astype(np.float32)).scores
    read = of_tiles.predict([colour for colour, _ in files], depth=[deep for _, deep in files]).scores
    np.testing.assert_array_equal(read, as_read)


Spoil = Callable[[Path], Any]


def _text(name: str, content: str) -> Spoil:
    def spoil(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return spoil


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (
            lambda _: np.zeros((2, 48, 48, 3), np.uint8),
            r"takes pictures as uint8 RGB \(N, 32, 32, 3\).* this array is \(2, 48, 48, 3\)",
        ),
        (lambda _: np.zeros((SIDE, 48, 3), np.uint8), r"this array is \(32, 48, 3\)"),
        (lambda _: np.zeros((2, SIDE, SIDE, 3)), "uint8, 0 to 255; these are float64"),
        (lambda folder: folder / "gone.csv", "gone.csv' can't be used: No such file"),
        (_text("words.csv", "value\nno\nnumbers\n"), "words.csv' can't be used: "),
        (_text("empty.csv", ""), "empty.csv' can't be used: "),
        (lambda _: np.array(3, np.uint8), r"this array is \(\)"),
        (
            lambda _: [np.zeros((SIDE, SIDE, 3), np.uint8), "a.csv"],
            "Paths of files, or uint8 arrays, are taken; got ndarray",
        ),
    ],
)
def test_what_can_t_be_used_is_said(of_series: LoadedModel, tmp_path: Path, pictures: Spoil, words: str) -> None:
    with pytest.raises(InputError, match=words):
        of_series.predict(pictures(tmp_path))


def depth_of(rows: int, side: int = SIDE) -> NDArray[np.float32]:
    """Some depth."""
    return np.ones((rows, side, side), np.float32)


@pytest.mark.parametrize(
    ("depth", "words"),
    [
        (None, "needs depth"),
        (depth_of(3), r"for each of the 2 pictures; got \(3, 32, 32\)"),
        (depth_of(2, 48), r"a depth map of 32x32, float32, for each of the 2 pictures; got \(2, 48, 48\)"),
        (depth_of(2).astype(np.float64), r"float32, for each of the 2 pictures; got \(2, 32, 32\) of float64"),
        ("gone.png", "depth as an array"),
        (["gone.png", "gone.png"], "depth as an array"),
    ],
)
def test_depth_that_does_not_fit_is_refused(of_tiles: LoadedModel, tiles: Samples, depth: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        of_tiles.predict(np.asarray(tiles.pictures)[:2], depth=depth)


@pytest.mark.parametrize(
    ("shape", "depths", "words"),
    [
        ((10, 90), 1, r"deep.png' can't be used: its depth has 10x90 pixels, the picture 32x32"),
        ((SIDE, SIDE), 2, "a depth map for each of the 1 pictures; got 2"),
        (None, 1, "deep.png' can't be used: No such file"),
        (None, 0, "gone.png' can't be used: No such file"),
    ],
)
def test_a_file_of_depth_that_does_not_fit_is_refused(
    of_tiles: LoadedModel, tmp_path: Path, shape: tuple[int, int] | None, depths: int, words: str
) -> None:
    colour, deep = tmp_path / "colour.png", tmp_path / "deep.png"
    Image.fromarray(np.full((SIDE, SIDE, 3), 90, np.uint8)).save(colour)
    if shape is not None:
        Image.fromarray(np.full(shape, 1500, np.uint16)).save(deep)
    with pytest.raises(InputError, match=words):
        # Without a depth map of its own, a picture that is gone is said to be, and not its depth.
        of_tiles.predict(colour if depths else tmp_path / "gone.png", depth=[deep] * depths if depths > 1 else deep)


def test_a_spoilt_model_is_refused(tmp_path: Path, series: Samples) -> None:
    folder = tmp_path / "model"
    trained(folder, "pca_logistic", series, {"layout": "series", "style": "plain"}, components=4)
    with (folder / "weights.pt").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="not what was kept"):
        load_model(folder)
    (folder / "weights.pt").unlink()
    with pytest.raises(InputError, match="is missing"):
        load_model(folder)
    with pytest.raises(InputError, match="no kept model"):
        load_model(tmp_path / "nothing")


def test_one_picture_and_lists_of_pictures_are_taken(of_series: LoadedModel, series: Samples) -> None:
    pictures = np.asarray(series.pictures)
    expected = of_series.predict(pictures[:2]).scores
    np.testing.assert_array_equal(of_series.predict(pictures[0]).scores, of_series.predict(pictures[:1]).scores)
    np.testing.assert_array_equal(of_series.predict(list(pictures[:2])).scores, expected)
    np.testing.assert_array_equal(of_series.predict(np.array(series.paths[:2])).scores, expected)


def test_one_picture_takes_one_depth_map(of_tiles: LoadedModel, tiles: Samples) -> None:
    pictures, depth = np.asarray(tiles.pictures), np.asarray(tiles.depth)
    one = of_tiles.predict(pictures[0], depth=depth[0]).scores
    np.testing.assert_array_equal(one, of_tiles.predict(pictures[:1], depth=depth[:1]).scores)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((2, SIDE, SIDE), np.uint8), rf"uint8 RGB \(N, {SIDE}, {SIDE}, 3\)"),
        (np.zeros((SIDE, SIDE, 3)), r"float64.*\* 255"),
        (np.zeros(60), "takes no series as numbers"),
        (np.zeros((1, 3, SIDE, SIDE), np.uint8), "paths of files"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((5, 5, 3), np.uint8)], r"have one shape; these have \(4, 4, 3\)"),
        (Image.new("RGB", (SIDE, SIDE)), "numpy.asarray"),
        ([Image.new("RGB", (SIDE, SIDE))], "got Image"),
        (None, "got NoneType"),
        (7, "got int"),
        ({1: 2}, "got int"),
    ],
)
def test_what_can_t_be_scored_is_told_with_what_can(of_series: LoadedModel, given: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        of_series.predict(given)

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from trainables.cache import Cache
from trainables.errors import InputError
from trainables.interface import Problem, Samples
from trainables.parts.principal_components import PASSES
from trainables.pca import FAMILY, Pca, PcaConfig, Preprocessing, check, kept_range

SPILL = Path(__file__).parents[2].parent / "shared" / "data" / "spill"
DETECTION = ("normal", "anomaly")


def fitted(train: Samples, validation: Samples, seed: int = 0, **keys: Any) -> tuple[Pca, dict[str, float]]:
    height, width, channels = train.pictures.shape[1:]
    model = Pca(PcaConfig(**keys), Problem(DETECTION, (height, width, channels), 1), seed)
    (epoch,) = model.fit(train, validation)
    assert epoch.last
    return model, dict(epoch.losses)


def parts(make_samples: Any) -> tuple[Samples, Samples]:
    return make_samples(60, 1, detection=True, normal_only=True), make_samples(30, 2, detection=True)


def test_the_scores_are_the_mean_squared_errors_of_scikit_learns_pca(make_samples: Any) -> None:
    train, validation = parts(make_samples)
    model, losses = fitted(train, validation, components=5)
    flat, other = (np.asarray(part.pictures).reshape(len(part), -1) / 255 for part in (train, validation))
    pca = PCA(5, svd_solver="full").fit(flat)
    errors = np.square(other - pca.inverse_transform(pca.transform(other)))
    prediction = model.predict(validation)
    np.testing.assert_allclose(prediction.scores, errors.mean(axis=1), rtol=1e-3)
    assert prediction.maps is not None
    np.testing.assert_allclose(prediction.maps, errors.reshape(-1, 32, 32, 3).mean(axis=3), atol=2e-3)
    np.testing.assert_allclose(prediction.maps.mean(axis=(1, 2)), prediction.scores, rtol=1e-5)
    normal = validation.labels == 0
    assert losses["validation_loss"] == pytest.approx(prediction.scores[normal].mean())
    assert losses["anomaly_loss"] == pytest.approx(prediction.scores[~normal].mean())
    assert losses["train_loss"] == pytest.approx(model.predict(train).scores.mean())
    assert losses["train_loss"] < losses["validation_loss"]
    assert model.parameters == (1 + 5) * 32 * 32 * 3


def test_anomalies_score_higher(make_samples: Any) -> None:
    train, validation = parts(make_samples)
    model, _ = fitted(train, validation, components=4, blur=2.0)
    assert roc_auc_score(validation.labels, model.predict(validation).scores) > 0.95


def test_without_anomalies_there_is_no_loss_of_theirs(make_samples: Any) -> None:
    train, _ = parts(make_samples)
    assert fitted(train, train)[1].keys() == {"train_loss", "validation_loss"}


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(
    ("crop", "rows", "columns"), [(1.0, slice(0, 10), slice(0, 7)), (0.5, slice(2, 7), slice(1, 5))]
)
def test_blur_comes_before_the_crop_and_both_before_grey_or_after(
    grey: bool, crop: float, rows: slice, columns: slice
) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 10, 7, 3), dtype=np.uint8)
    blurred = gaussian_filter(pictures / 255, sigma=(0, 1.3, 1.3, 0), mode="nearest")
    expected = blurred[:, rows, columns]
    if grey:
        expected = (expected @ np.array([0.299, 0.587, 0.114]))[..., None]
    seen = Preprocessing(PcaConfig(crop=crop, blur=1.3, grey=grey), (10, 7, 3))
    np.testing.assert_allclose(seen(torch.from_numpy(pictures)), expected, atol=1e-12)
    assert seen.shape == expected.shape[1:]


@pytest.mark.parametrize("grey", [False, True])
def test_a_plain_crop_is_taken_from_the_centre(grey: bool) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 10, 8, 3), dtype=np.uint8)
    expected = pictures[:, 2:7, 2:6] / 255
    if grey:
        expected = (expected @ np.array([0.299, 0.587, 0.114]))[..., None]
    np.testing.assert_allclose(
        Preprocessing(PcaConfig(crop=0.5, grey=grey), (10, 8, 3))(torch.from_numpy(pictures)), expected
    )


def test_thumbnails_are_means_of_blocks() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 16, 3), dtype=np.uint8)
    expected = (pictures / 255).reshape(2, 4, 2, 4, 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(Preprocessing(PcaConfig(thumbnail=4), (8, 16, 3))(torch.from_numpy(pictures)), expected)


def test_a_crop_keeps_the_middle() -> None:
    assert kept_range(10, 1.0) == range(10)
    assert kept_range(10, 0.5) == range(2, 7)
    assert kept_range(1, 0.5) == range(1)


def test_maps_are_zero_outside_the_crop_and_none_of_thumbnails(make_samples: Any) -> None:
    train, validation = parts(make_samples)
    maps = fitted(train, validation, components=2, crop=0.5, blur=1.0)[0].predict(validation).maps
    assert maps is not None
    inside = np.zeros((32, 32), dtype=bool)
    inside[8:24, 8:24] = True
    assert (maps[:, ~inside] == 0).all()
    assert (maps[:, inside].sum(axis=1) > 0).all()
    assert fitted(train, validation, components=2, thumbnail=8)[0].predict(validation).maps is None


def test_validation_has_maps_only_where_there_are_masks(make_samples: Any) -> None:
    train, validation = parts(make_samples)
    masked = Samples(
        validation.pictures,
        validation.labels,
        validation.classes,
        validation.paths,
        masks=np.zeros((30, 32, 32), dtype=np.uint8),
        masked=validation.labels == 0,
    )
    problem = Problem(DETECTION, (32, 32, 3), 1)
    for part, given in ((validation, False), (masked, True)):
        (epoch,) = Pca(PcaConfig(), problem, 0).fit(train, part)
        assert (epoch.validation.maps is not None) is given


def test_components_are_capped_by_the_pictures_and_it_is_said(make_samples: Any) -> None:
    train, validation = parts(make_samples)
    few = train.select(np.arange(4))
    model, losses = fitted(few, validation, components=16)
    assert model.facts() == {"components": "3 of 16: the 4 training pictures vary in no more"}
    assert losses["train_loss"] == pytest.approx(0, abs=1e-12)
    assert fitted(train, validation, components=5)[0].facts() == {}


def test_pictures_that_are_all_alike_leave_their_mean(make_samples: Any) -> None:
    _, validation = parts(make_samples)
    alike = Samples(np.full((5, 32, 32, 3), 100, np.uint8), np.zeros(5, np.int64), DETECTION, tuple("abcde"))
    model, _ = fitted(alike, validation)
    expected = np.square(np.asarray(validation.pictures) / 255 - 100 / 255).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(model.predict(validation).scores, expected)


def test_one_picture_is_refused(make_samples: Any) -> None:
    train, validation = parts(make_samples)
    with pytest.raises(InputError, match="at least 2 normal pictures, not 1"):
        fitted(train.select(np.arange(1)), validation)


def test_more_components_than_values_are_refused() -> None:
    problem = Problem(DETECTION, (16, 16, 3), 1)
    assert check(PcaConfig(components=768), problem) == []
    with pytest.raises(InputError, match=r"components is 769, and a picture has 768 values \(16 x 16 x 3 "):
        check(PcaConfig(components=769), problem)
    with pytest.raises(InputError, match=r"has 64 values \(8 x 8 x 1 .*Set components to 64 or less"):
        check(PcaConfig(components=100, crop=0.5, grey=True), problem)


def test_the_gallery_shows_what_the_model_sees(make_samples: Any) -> None:
    train, validation = parts(make_samples)
    normals, anomalies = fitted(train, validation, crop=0.5, grey=True)[0].gallery(validation)
    for gallery in (normals, anomalies):
        assert [pictures.shape for _, pictures in gallery.rows] == [(8, 16, 16, 3)] * 2
        assert all((pictures[..., 0] == pictures[..., 1]).all() for _, pictures in gallery.rows)


@pytest.mark.parametrize("keys", [{"components": 0}, {"crop": 0.4}, {"crop": 1.1}, {"blur": -1}, {"thumbnail": 1}])
def test_impossible_values_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        FAMILY.config(**keys)


def spill_pictures(paths: list[Path]) -> np.ndarray:
    from PIL import Image

    return np.stack([np.asarray(Image.open(path).convert("RGB").resize((72, 40), 2)) for path in paths])


@pytest.mark.slow
def test_real_spills_are_told_from_sound_wells() -> None:
    if not SPILL.is_dir():
        pytest.skip("needs the pictures of ../shared/data/spill, which this checkout does not have")
    paths = sorted((SPILL / "train").glob("*.jpg"))[::5]
    train = Samples(spill_pictures(paths), np.zeros(len(paths), np.int64), DETECTION, tuple(map(str, paths)))
    lines = [line.split() for line in (SPILL / "test" / "test_annotation.txt").read_text().splitlines()]
    pictures = spill_pictures([SPILL / "test" / "imgs" / name for name, _ in lines])
    labels = np.array([int(label) for _, label in lines], dtype=np.int64)
    test = Samples(pictures, labels, DETECTION, tuple(name for name, _ in lines))
    model, _ = fitted(train, test, components=8)
    assert roc_auc_score(labels, model.predict(test).scores) > 0.9


class Read:
    """Pictures that count how often the first of them is read."""

    def __init__(self, pictures: Any) -> None:
        self.pictures, self.shape, self.times = pictures, pictures.shape, 0

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.times += 0 in rows
        return np.asarray(self.pictures[rows])


def trained(parts: tuple[Samples, Samples], cache: Cache | None, data: str = "d", **keys: Any) -> tuple[Pca, int]:
    """A model, and how often its training pictures were read."""
    read = Read(parts[0].pictures)
    model = Pca(PcaConfig(**keys), Problem(DETECTION, (32, 32, 3), 1, cache=cache, data=data), 0)
    list(model.fit(replace(parts[0], pictures=read), parts[1]))
    return model, read.times


def test_components_are_computed_once_for_all_counts_that_share_a_width(make_samples: Any, tmp_path: Path) -> None:
    both, cache = parts(make_samples), Cache(tmp_path)
    alone, whole = trained(both, None, components=5)
    _, times = trained(both, cache, components=12)
    assert times == whole == PASSES + 3
    for count in (5, 12, 16):
        model, times = trained(both, cache, components=count)
        assert times == 1, "for train_loss alone"
        assert len(model.tensors["components"]) == count
        assert torch.equal(model.tensors["components"][:5], alone.tensors["components"])
        assert torch.equal(model.tensors["mean"], alone.tensors["mean"])
        assert model.tensors["components"].numpy().flags.writeable
    for other in ({"components": 17}, {"crop": 0.9}, {"blur": 1.0}, {"grey": True}, {"thumbnail": 16}, {"data": "e"}):
        assert trained(both, cache, **other)[1] == whole, other  # type: ignore[arg-type]
    assert trained(both, cache, data="")[1] == whole, "samples without a fingerprint share nothing"
    assert len(cache.listed()) == 7


def test_few_pictures_give_what_they_have_whatever_is_asked(make_samples: Any, tmp_path: Path) -> None:
    both = make_samples(10, 1, detection=True, normal_only=True), make_samples(12, 2, detection=True)
    for cache in (None, Cache(tmp_path)):
        model, _ = trained(both, cache, components=12)
        assert len(model.tensors["components"]) == 9
        assert model.facts() == {"components": "9 of 12: the 10 training pictures vary in no more"}


def test_a_run_that_is_asked_to_stop_waits_for_no_whole_decomposition(make_samples: Any, tmp_path: Path) -> None:
    class Asked(Exception):
        pass

    def stop() -> None:
        raise Asked

    both, cache = parts(make_samples), Cache(tmp_path)
    problem = Problem(DETECTION, (32, 32, 3), 1, cache=cache, data="d", pulse=stop)
    with pytest.raises(Asked):
        next(Pca(PcaConfig(), problem, 0).fit(*both))
    assert trained(both, cache)[1] == PASSES + 3

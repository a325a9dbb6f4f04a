from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter
from torch.nn.functional import interpolate

from trainables import patch_knn
from trainables.errors import InputError
from trainables.interface import Problem, Samples
from trainables.parts.frozen_features import FrozenFeatures, align
from trainables.patch_knn import PatchKnn, PatchKnnConfig, check

QUICK = {"backbone": "resnet18", "weights": "none", "layers": [1, 2], "padding": "zeros", "reduction": 4}


def model(seed: int = 0, **keys: Any) -> PatchKnn:
    return PatchKnn(PatchKnnConfig(**{**QUICK, **keys}), Problem(("normal", "anomaly"), (32, 32, 3), 5), seed)


@pytest.fixture(scope="module")
def train(make_samples: Any) -> Samples:
    samples: Samples = make_samples(10, 1, detection=True, normal_only=True)
    return samples


@pytest.fixture(scope="module")
def validation(make_samples: Any) -> Samples:
    samples: Samples = make_samples(9, 2, detection=True)
    return samples


def patches(trained: PatchKnn, samples: Samples) -> torch.Tensor:
    """All patches (N, 64, C), one layer's grid of 8 x 8, computed apart from the family's own way."""
    aligned = align(trained.features.features(samples, np.arange(len(samples))), (8, 8))
    return aligned.flatten(2).transpose(1, 2)


def test_with_every_patch_in_the_coreset_the_score_is_the_furthest_nearest_neighbour(
    train: Samples, validation: Samples
) -> None:
    trained = model(coreset_share=1.0, smoothing=0)
    (epoch,) = trained.fit(train, validation)
    assert trained.patches is not None
    assert trained.patches.shape == (640, 48)
    normal, given = patches(trained, train).flatten(0, 1).double(), patches(trained, validation).double()
    distances = torch.cdist(given.flatten(0, 1), normal).min(dim=1).values.view(9, 8, 8)
    np.testing.assert_allclose(epoch.validation.scores, distances.amax(dim=(1, 2)).numpy(), rtol=1e-4)
    prediction = trained.predict(validation)
    expected = interpolate(distances[:, None], (32, 32), mode="bilinear", align_corners=False)[:, 0]
    np.testing.assert_allclose(prediction.maps, expected.numpy(), rtol=1e-4, atol=1e-5)
    assert epoch.losses["train_loss"] == 0
    assert epoch.losses["validation_loss"] == pytest.approx(epoch.validation.scores[validation.labels == 0].mean())
    assert epoch.losses["anomaly_loss"] == pytest.approx(epoch.validation.scores[validation.labels == 1].mean())
    np.testing.assert_allclose(trained.predict(train).scores, np.zeros(10), atol=1e-4)


def test_smoothing_is_of_the_maps_alone(train: Samples, validation: Samples) -> None:
    plain, smooth = model(smoothing=0), model(smoothing=3.0)
    for each in (plain, smooth):
        list(each.fit(train, validation))
    one, two = plain.predict(validation), smooth.predict(validation)
    np.testing.assert_array_equal(one.scores, two.scores)
    assert one.maps is not None
    np.testing.assert_allclose(two.maps, [gaussian_filter(each, 3.0) for each in one.maps], rtol=1e-5)


def test_reweighting_is_the_papers(train: Samples, validation: Samples) -> None:
    plain, weighted = model(), model(reweighting=True)
    for each in (plain, weighted):
        list(each.fit(train, validation))
    assert plain.patches is not None
    coreset, given = plain.patches.double(), patches(plain, validation).double()
    for row, score in enumerate(plain.predict(validation).scores):
        distances = torch.cdist(given[row], coreset)
        worst = int(distances.min(dim=1).values.argmax())
        nearest = int(distances[worst].argmin())
        around = (coreset - coreset[nearest]).norm(dim=1).argsort()[:9]
        share = np.exp(score) / np.exp(distances[worst][around].numpy()).sum()
        expected = (1 - share) * score
        assert weighted.predict(validation.select(np.array([row]))).scores[0] == pytest.approx(expected, rel=1e-3)
        assert expected < score


@pytest.mark.parametrize("coreset", ["greedy", "random"])
def test_the_coreset_has_its_size_and_holds_training_patches(train: Samples, validation: Samples, coreset: str) -> None:
    for keys, size in (
        ({"coreset_share": 0.1}, 64),
        ({"coreset_share": 0.9, "most_patches": 50}, 50),
        ({"coreset_share": 1e-9}, 1),
    ):
        trained = model(coreset=coreset, **keys)
        list(trained.fit(train, validation))
        assert trained.patches is not None
        assert len(trained.patches) == size
        every = patches(trained, train).flatten(0, 1)
        assert torch.cdist(trained.patches.double(), every.double()).min(dim=1).values.max() < 1e-5
        assert trained.facts()["coreset"] == f"{size} patches of 48 channels"
        assert trained.parameters == trained.features.parameters_held + size * 48


def test_the_greedy_coreset_covers_better_than_a_random_one(train: Samples, validation: Samples) -> None:
    largest = {}
    for coreset in ("greedy", "random"):
        trained = model(coreset=coreset, coreset_share=0.05)
        list(trained.fit(train, validation))
        assert trained.patches is not None
        every = patches(trained, train).flatten(0, 1)
        largest[coreset] = float(torch.cdist(every, trained.patches).min(dim=1).values.max())
    assert largest["greedy"] < largest["random"]


def test_of_too_many_patches_a_part_is_pooled(
    train: Samples, validation: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patch_knn, "MOST_POOLED", 100)
    trained = model(coreset="random", coreset_share=0.5, most_patches=90)
    pool, there = trained._pool(train, np.random.default_rng(0))
    assert there == 640
    assert pool.shape == (100, 48)
    every = patches(trained, train)
    found = torch.cdist(pool.double(), every.flatten(0, 1).double())
    assert found.min(dim=1).values.max() < 1e-5
    assert len(set((found.argmin(dim=1) // 64).tolist())) == 10, "each picture gives some"
    list(trained.fit(train, validation))
    assert trained.patches is not None
    assert len(trained.patches) == 90


def test_features_are_computed_once(train: Samples, validation: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    features = FrozenFeatures.features

    def counted(self: FrozenFeatures, samples: Samples, rows: np.ndarray) -> list[torch.Tensor]:
        computed.extend(rows)
        return features(self, samples, rows)

    monkeypatch.setattr(FrozenFeatures, "features", counted)
    epochs = list(model().fit(train, validation))
    assert len(epochs) == 1
    assert epochs[0].last
    assert sorted(computed) == sorted([*range(10), *range(9)])


def test_it_finds_what_it_never_saw_and_where(make_samples: Any) -> None:
    train = make_samples(24, 1, detection=True, normal_only=True, side=96)
    test = make_samples(8, 2, detection=True, normal_only=True, side=96)
    pictures = np.asarray(test.pictures).copy()
    pictures[:, 72:88, 8:24] = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3))
    config = PatchKnnConfig(**{**QUICK, "layers": [1], "smoothing": 1.0})
    trained = PatchKnn(config, Problem(train.classes, (96, 96, 3), 1), 0)
    list(trained.fit(train, test))
    normal, strange = trained.predict(test), trained.predict(replace(test, pictures=pictures))
    assert strange.scores.min() > normal.scores.max()
    assert normal.maps is not None
    assert strange.maps is not None
    rows, columns = np.unravel_index((strange.maps - normal.maps).reshape(8, -1).argmax(axis=1), (96, 96))
    assert ((rows >= 72) & (rows < 88) & (columns >= 8) & (columns < 24)).all()


def test_maps_come_with_masks_alone_while_fitting(train: Samples, validation: Samples) -> None:
    (without,) = model().fit(train, validation)
    masks = np.zeros(validation.pictures.shape[:3], dtype=np.uint8)
    (given,) = model().fit(train, replace(validation, masks=masks))
    assert without.validation.maps is None
    assert given.validation.maps is not None
    np.testing.assert_array_equal(given.validation.scores, without.validation.scores)


def test_bad_input_is_refused(train: Samples, validation: Samples) -> None:
    with pytest.raises(InputError, match="at least 1 normal training picture"):
        list(model().fit(train.select(np.array([], dtype=np.int64)), validation))
    with pytest.raises(InputError, match="began with other frozen weights"):
        model(seed=1).load(model(seed=0).state())
    with pytest.raises(InputError, match="no four stages"):
        check(PatchKnnConfig(**{**QUICK, "backbone": "swin_t"}), Problem(("normal", "anomaly"), (64, 64, 3), 1))
    assert check(PatchKnnConfig(**QUICK), Problem(("normal", "anomaly"), (32, 32, 3), 1)) == []
    for keys in ({"coreset_share": 0}, {"coreset_share": 1.5}, {"coreset": "all"}, {"smoothing": -1}):
        with pytest.raises(ValidationError, match=next(iter(keys))):
            PatchKnnConfig(**keys)

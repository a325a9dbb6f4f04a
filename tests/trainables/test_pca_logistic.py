from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from trainables.errors import InputError
from trainables.interface import Problem, Samples
from trainables.pca_logistic import FAMILY, PcaLogistic, PcaLogisticConfig

PLOTS = Path(__file__).parents[2].parent / "shared" / "data" / "plots" / "train"


def fitted(train: Samples, validation: Samples, seed: int = 0, **keys: Any) -> PcaLogistic:
    shape = train.pictures.shape
    model = PcaLogistic(PcaLogisticConfig(**keys), Problem(train.classes, (shape[1], shape[2], shape[3]), 1), seed)
    list(model.fit(train, validation))
    return model


def test_it_tells_shapes_apart(make_samples: Any) -> None:
    train, validation = make_samples(90, 1), make_samples(60, 2)
    scores = fitted(train, validation, thumbnail=16, components=8).predict(validation).scores
    assert f1_score(validation.labels, scores.argmax(axis=1), average="macro") > 0.9


def test_the_scores_are_scikit_learns(make_samples: Any) -> None:
    train, validation = make_samples(90, 1), make_samples(60, 2)
    model = fitted(train, validation, seed=7, thumbnail=16, components=8, C=0.5)

    def thumbnails(samples: Samples) -> np.ndarray:
        grey = np.asarray(samples.pictures) @ np.array([0.299, 0.587, 0.114]) / 255
        return grey.reshape(len(samples), 16, 2, 16, 2).mean(axis=(2, 4)).reshape(len(samples), -1)

    pca = PCA(8, svd_solver="full").fit(thumbnails(train))
    scale = pca.transform(thumbnails(train)).std(axis=0)
    regression = LogisticRegression(C=0.5, max_iter=1000).fit(pca.transform(thumbnails(train)) / scale, train.labels)
    expected = regression.predict_proba(pca.transform(thumbnails(validation)) / scale)
    np.testing.assert_allclose(model.predict(validation).scores, expected, atol=1e-6)


def test_two_classes_have_two_columns(make_samples: Any) -> None:
    train, validation = make_samples(40, 1, detection=True), make_samples(30, 2, detection=True)
    scores = fitted(train, validation, thumbnail=16, components=8).predict(validation).scores
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert f1_score(validation.labels, scores.argmax(axis=1)) > 0.9


def test_a_class_that_training_lacks_gets_zero(make_samples: Any) -> None:
    whole, validation = make_samples(60, 1), make_samples(30, 2)
    rows = np.flatnonzero(whole.labels != 1)
    train = Samples(np.asarray(whole.pictures)[rows], whole.labels[rows], whole.classes, whole.paths[: len(rows)])
    scores = fitted(train, validation).predict(validation).scores
    assert (scores[:, 1] == 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1)


def test_one_class_is_refused(make_samples: Any) -> None:
    samples = make_samples(10, 1, detection=True, normal_only=True)
    with pytest.raises(InputError, match="at least 2 classes"):
        fitted(samples, samples)


def test_balanced_weights_raise_the_rare_class(make_samples: Any) -> None:
    whole, validation = make_samples(120, 1), make_samples(60, 2)
    rows = np.concatenate((np.flatnonzero(whole.labels == 0), np.flatnonzero(whole.labels != 0)[:4]))
    train = Samples(np.asarray(whole.pictures)[rows], whole.labels[rows], whole.classes, whole.paths[: len(rows)])
    plain, balanced = (
        fitted(train, validation, C=1e-3, class_weights=w).predict(validation) for w in ("none", "balanced")
    )
    assert balanced.scores[:, 1:].sum() > 2 * plain.scores[:, 1:].sum()


def test_components_are_capped_by_the_data(make_samples: Any) -> None:
    train = make_samples(9, 1)
    model = fitted(train, train, components=256, thumbnail=16)
    assert model.weights()["components"].shape == (9, 256)
    assert np.isfinite(model.predict(train).scores).all()


def test_components_without_spread_are_left_out(make_samples: Any) -> None:
    few, validation = make_samples(9, 1), make_samples(60, 2)
    model = fitted(few, validation, components=256, thumbnail=16)
    assert model.weights()["components"].abs().max() < 100
    scores = model.predict(validation).scores
    assert np.mean(scores.max(axis=1) > 0.999) < 0.5, "unseen pictures are not judged with certainty after nine"
    alike = Samples(np.zeros((6, 32, 32, 3), dtype=np.uint8), few.labels[:6], few.classes, few.paths[:6])
    np.testing.assert_allclose(fitted(alike, validation).predict(validation).scores, 1 / 3, atol=1e-3)


@pytest.mark.parametrize("keys", [{"C": 0}, {"C": -1}, {"C": float("inf")}, {"components": 0}, {"thumbnail": 1}])
def test_impossible_values_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        FAMILY.config(**keys)


@pytest.mark.slow
def test_real_plots_are_told_apart_clearly_better_than_by_chance() -> None:
    if not PLOTS.is_dir():
        pytest.skip("needs the pictures of ../shared/data/plots, which this checkout does not have")
    from PIL import Image

    files = sorted(PLOTS.glob("*/*.png"))
    classes = tuple(sorted({file.parent.name for file in files}))
    pictures = np.stack([np.asarray(Image.open(file).convert("RGB").resize((64, 64), 2)) for file in files])
    labels = np.array([classes.index(file.parent.name) for file in files], dtype=np.int64)
    order = np.random.default_rng(0).permutation(len(files))
    train, validation = (
        Samples(pictures[rows], labels[rows], classes, tuple(str(files[row]) for row in rows))
        for rows in (order[400:], order[:400])
    )
    scores = fitted(train, validation).predict(validation).scores
    assert f1_score(validation.labels, scores.argmax(axis=1), average="macro") > 3 / len(classes)

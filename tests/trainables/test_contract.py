"""What every family of the table promises, whatever it is inside."""

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from orchestrator.families import FAMILIES, Row
from search_spaces.overrides import example_configs, parameter_names
from trainables.interface import Epoch, Model, Problem, Samples

EPOCHS = 3
SMALL: dict[str, dict[str, Any]] = {
    "conv_autoencoder": {"architecture": "B", "batch_size": 8, "plateau_patience": 0},
    "feature_autoencoder": {
        "backbone": "shufflenet_v2_x0_5",
        "weights": "none",
        "layers": [1, 2],
        "grid": 8,
        "latent_dim": 4,
        "batch_size": 8,
        "plateau_patience": 0,
    },
    "pca": {"components": 4, "crop": 0.8, "blur": 0.5},
    "patch_knn": {
        "backbone": "shufflenet_v2_x0_5",
        "weights": "none",
        "layers": "1+2",
        "most_patches": 40,
        "reweighting": True,
    },
    "pca_logistic": {"thumbnail": 16, "components": 8},
    "plot_classifier": {
        "backbone": "shufflenet_v2_x0_5",
        "weights": "none",
        "batch_size": 8,
        "augmentation": 0.5,
        "flip_left_right": True,
        "plateau_patience": 0,
    },
    "vae": {"latent_dim": 8, "score": "reconstruction_kl", "batch_size": 8, "plateau_patience": 0},
    "vae_transfer": {
        "vae_architecture": "small_conv",
        "vae_latent_dim": 8,
        "vae_epochs": 2,
        "vae_batch_size": 8,
        "batch_size": 8,
        "plateau_patience": 0,
    },
}
"""What keeps a family quick here, while every random part of it is switched on."""

Build = Callable[..., Model]


@pytest.fixture(params=sorted(FAMILIES))
def row(request: pytest.FixtureRequest) -> Row:
    return FAMILIES[request.param]


@pytest.fixture
def parts(row: Row, make_samples: Any) -> tuple[Samples, Samples]:
    """Train and validation. 25 pictures in batches of 8 leave one over."""
    detection = row.family.task == "detection"
    return (
        make_samples(25, 1, detection=detection, normal_only=detection),
        make_samples(12, 2, detection=detection),
    )


@pytest.fixture
def build(row: Row, parts: tuple[Samples, Samples]) -> Build:
    def make(seed: int = 0, epochs: int = EPOCHS) -> Model:
        family = row.family
        shape = parts[0].pictures.shape
        problem = Problem(parts[0].classes, (shape[1], shape[2], shape[3]), epochs)
        config = family.config(**SMALL.get(row.name, {}))
        assert isinstance(family.check(config, problem), list)
        return family.build(config, problem, seed)

    return make


def through_a_file(state: Any) -> Any:
    """What comes back of `state` from a file that may hold no code."""
    content = io.BytesIO()
    torch.save(state, content)
    content.seek(0)
    return torch.load(content, weights_only=True)


def assert_same(first: Any, second: Any) -> None:
    """Equal to the last bit, in nested dicts and lists of tensors and numbers."""
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    else:
        assert first == second


def assert_same_epochs(first: list[Epoch], second: list[Epoch]) -> None:
    assert [dict(epoch.losses) for epoch in first] == [dict(epoch.losses) for epoch in second]
    assert [epoch.last for epoch in first] == [epoch.last for epoch in second]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.validation.scores, other.validation.scores)


def test_scores_have_their_shape_and_are_finite(row: Row, build: Build, parts: tuple[Samples, Samples]) -> None:
    train, validation = parts
    model = build()
    epochs = list(model.fit(train, validation))
    for scores in [epoch.validation.scores for epoch in epochs] + [model.predict(validation).scores]:
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        if row.family.task == "classification":
            assert scores.shape == (len(validation), len(validation.classes))
            assert (scores >= 0).all()
            np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-9)
        else:
            assert scores.shape == (len(validation),)
    maps = model.predict(validation).maps
    if maps is not None:
        assert maps.shape == validation.pictures.shape[:3]
        assert np.isfinite(maps).all()


def test_epochs_end_with_the_last_and_bring_finite_losses(build: Build, parts: tuple[Samples, Samples]) -> None:
    model = build()
    epochs = list(model.fit(*parts))
    assert 1 <= len(epochs) <= EPOCHS
    assert [epoch.last for epoch in epochs] == [False] * (len(epochs) - 1) + [True]
    for epoch in epochs:
        assert {"train_loss", "validation_loss"} <= epoch.losses.keys()
        assert all(type(loss) is float and np.isfinite(loss) for loss in epoch.losses.values())
    np.testing.assert_array_equal(epochs[-1].validation.scores, model.predict(parts[1]).scores)
    assert list(model.fit(*parts)) == []


def test_the_scores_depend_on_the_pictures(build: Build, parts: tuple[Samples, Samples]) -> None:
    model = build()
    list(model.fit(*parts))
    scores = model.predict(parts[1]).scores
    assert len(np.unique(scores.round(12), axis=0)) > 1


def test_same_seed_same_result(build: Build, parts: tuple[Samples, Samples]) -> None:
    first, second = build(seed=5), build(seed=5)
    epochs = list(first.fit(*parts))
    torch.manual_seed(99)  # the world outside must not matter
    np.random.seed(99)
    assert_same_epochs(epochs, list(second.fit(*parts)))
    assert_same(first.weights(), second.weights())
    assert first.parameters == second.parameters > 0


def test_other_seed_other_result(row: Row, build: Build, parts: tuple[Samples, Samples]) -> None:
    results = []
    for seed in (0, 1):
        model = build(seed=seed)
        list(model.fit(*parts))
        results.append(model.predict(parts[1]).scores)
    assert np.array_equal(*results) is not row.family.seeded


def test_weights_give_the_same_scores_again(build: Build, parts: tuple[Samples, Samples]) -> None:
    trained, other = build(seed=0), build(seed=1)
    list(trained.fit(*parts))
    weights = trained.weights()
    assert all(isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu" for tensor in weights.values())
    other.load_weights(through_a_file(weights))
    np.testing.assert_array_equal(other.predict(parts[1]).scores, trained.predict(parts[1]).scores)


def test_weights_are_copies(build: Build, parts: tuple[Samples, Samples]) -> None:
    model = build()
    list(model.fit(*parts))
    scores = model.predict(parts[1]).scores
    for tensor in model.weights().values():
        tensor.zero_()
    np.testing.assert_array_equal(model.predict(parts[1]).scores, scores)


@pytest.mark.parametrize("stop", range(EPOCHS + 1))
def test_resuming_equals_not_stopping(build: Build, parts: tuple[Samples, Samples], stop: int) -> None:
    unbroken = build(seed=3)
    whole = list(unbroken.fit(*parts))

    before = build(seed=3)
    training = before.fit(*parts)
    first = [epoch for _, epoch in zip(range(stop), training, strict=False)]
    state = through_a_file(before.state())
    training.close()
    after = build(seed=3)
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    after.load(state)
    assert_same_epochs(whole, first + list(after.fit(*parts)))
    assert_same(unbroken.state(), after.state())
    np.testing.assert_array_equal(after.predict(parts[1]).scores, unbroken.predict(parts[1]).scores)


def test_a_state_stays_as_it_was(build: Build, parts: tuple[Samples, Samples]) -> None:
    model = build()
    training = model.fit(*parts)
    next(training)
    state = model.state()
    kept = through_a_file(state)
    list(training)
    assert_same(through_a_file(state), kept)
    again = build()
    again.load(state)
    list(again.fit(*parts))
    assert_same(through_a_file(state), kept)


def test_predict_changes_nothing(build: Build, parts: tuple[Samples, Samples]) -> None:
    model = build()
    training = model.fit(*parts)
    next(training)
    before = model.state()
    first = model.predict(parts[1]).scores
    np.testing.assert_array_equal(model.predict(parts[1]).scores, first)
    assert_same(model.state(), before)
    rest = list(training)

    undisturbed = build()
    assert_same_epochs(list(undisturbed.fit(*parts))[1:], rest)


def test_the_random_state_of_others_is_left_alone(build: Build, parts: tuple[Samples, Samples]) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    model = build()
    list(model.fit(*parts))
    model.predict(parts[1])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]
    assert random.getstate() == before[2]


def test_pictures_are_read_by_rows_only(build: Build, parts: tuple[Samples, Samples]) -> None:
    class Mapped:
        """Pictures that can be had by rows alone, as those of a store."""

        def __init__(self, array: np.ndarray) -> None:
            self._array = array
            self.shape = array.shape

        def __len__(self) -> int:
            return len(self._array)

        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            assert isinstance(rows, np.ndarray)
            assert rows.dtype == np.int64
            return self._array[rows]

    train, validation = (Samples(Mapped(np.asarray(p.pictures)), p.labels, p.classes, p.paths) for p in parts)
    mapped, plain = build(), build()
    assert_same_epochs(list(mapped.fit(train, validation)), list(plain.fit(*parts)))


def test_facts_are_texts(build: Build, parts: tuple[Samples, Samples]) -> None:
    model = build()
    list(model.fit(*parts))
    assert all(type(key) is str and type(value) is str for key, value in model.facts().items())


def test_config_keys_fit_the_search_space(row: Row) -> None:
    config = row.family.config
    assert set(parameter_names(row.suggest)) <= config.model_fields.keys()
    for example in example_configs(row.suggest, {}, {}):
        assert config(**example).model_dump().items() >= example.items()
    config()  # every key has a default
    with pytest.raises(ValidationError, match="no_such_key"):
        config(no_such_key=1)


def test_names_and_files_agree(row: Row) -> None:
    assert row.family.name == row.name
    assert row.family.summary
    tests = Path(__file__).parents[1]
    for room in ("trainables", "search_spaces"):
        assert (tests / room / f"test_{row.name}.py").is_file()
        assert (tests.parent / room / f"{row.name}.py").is_file()

"""What every family promises, as a suite of tests for one's own: needs pytest.

from trainables.testing import FamilyContract

class TestMine(FamilyContract):
    family = FAMILY
    config = {"width": 4}   # what keeps it quick
"""

import io
import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trainables.interface import UNKNOWN, Epoch, Family, Model, Problem, Samples

EPOCHS = 3
SHAPES = ("falling", "rising", "step")

Build = Callable[..., Model]
Parts = tuple[Samples, Samples]
Trained = tuple[Model, list[Epoch]]


def draw_plot(shape: str, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A white picture (side, side, 3), uint8, with one noisy blue line of one of SHAPES."""
    time = np.linspace(0, 1, side)
    curve = {"rising": time, "falling": 1 - time, "step": (time > rng.uniform(0.35, 0.65)).astype(float)}[shape]
    rows = np.clip(curve * 0.6 + 0.2 + rng.normal(0, 0.03, side), 0, 0.999) * side
    picture = np.full((side, side, 3), 255, dtype=np.uint8)
    picture[side - 1 - rows.astype(int), np.arange(side)] = (31, 119, 180)
    return picture


def make_samples(
    count: int, seed: int, *, side: int = 32, detection: bool = False, normal_only: bool = False
) -> Samples:
    """Samples of `count` plots of three classes; with `detection` a `step` is an anomaly, all else normal."""
    rng = np.random.default_rng(seed)
    shapes = [SHAPES[i % (2 if normal_only else 3)] for i in range(count)]
    pictures = np.stack([draw_plot(shape, side, rng) for shape in shapes])
    labels = np.array([shape == "step" if detection else SHAPES.index(shape) for shape in shapes], dtype=np.int64)
    classes = ("normal", "anomaly") if detection else SHAPES
    return Samples(pictures, labels, classes, tuple(f"{shape}/{i}.csv" for i, shape in enumerate(shapes)))


class FamilyContract:
    """The promises of a family. A subclass whose name begins with Test says which family, and is collected."""

    family: ClassVar[Family]
    config: ClassVar[Mapping[str, Any]] = {}
    """Keys that keep it quick, with every random part of it switched on."""
    side: ClassVar[int] = 32
    """Of the pictures, in pixels."""

    @pytest.fixture(scope="class")
    @classmethod
    def parts(cls) -> Parts:
        """Train and validation. 25 pictures in batches of 8 leave one over."""
        detection = cls.family.task == "detection"
        return (
            make_samples(25, 1, side=cls.side, detection=detection, normal_only=detection),
            make_samples(12, 2, side=cls.side, detection=detection),
        )

    @pytest.fixture(scope="class")
    @classmethod
    def build(cls, parts: Parts) -> Build:
        """(seed, epochs) -> an untrained model."""

        def make(seed: int = 0, epochs: int = EPOCHS) -> Model:
            shape = parts[0].pictures.shape
            problem = Problem(parts[0].classes, (shape[1], shape[2], shape[3]), epochs)
            config = cls.family.config(**cls.config)
            assert isinstance(cls.family.check(config, problem), list)
            return cls.family.build(config, problem, seed)

        return make

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, build: Build, parts: Parts) -> Trained:
        """A model of seed 0 with its epochs, which tests only ask for predictions."""
        model = build()
        return model, list(model.fit(*parts))

    def test_scores_have_their_shape_and_are_finite(self, trained: Trained, parts: Parts) -> None:
        (model, epochs), validation = trained, parts[1]
        for scores in [epoch.validation.scores for epoch in epochs] + [model.predict(validation).scores]:
            assert scores.dtype == np.float64
            assert np.isfinite(scores).all()
            if self.family.task == "classification":
                assert scores.shape == (len(validation), len(validation.classes))
                assert (scores >= 0).all()
                np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-9)
            else:
                assert scores.shape == (len(validation),)
        maps = model.predict(validation).maps
        if maps is not None:
            assert maps.shape == validation.pictures.shape[:3]
            assert np.isfinite(maps).all()

    def test_epochs_end_with_the_last_and_bring_finite_losses(self, trained: Trained, parts: Parts) -> None:
        model, epochs = trained
        assert 1 <= len(epochs) <= (1 if self.family.single_epoch else EPOCHS)
        assert [epoch.last for epoch in epochs] == [False] * (len(epochs) - 1) + [True]
        for epoch in epochs:
            assert {"train_loss", "validation_loss"} <= epoch.losses.keys()
            assert all(type(loss) is float and np.isfinite(loss) for loss in epoch.losses.values())
        np.testing.assert_array_equal(epochs[-1].validation.scores, model.predict(parts[1]).scores)
        assert list(model.fit(*parts)) == []

    def test_the_scores_depend_on_the_pictures(self, trained: Trained, parts: Parts) -> None:
        scores = trained[0].predict(parts[1]).scores
        assert len(np.unique(scores.round(12), axis=0)) > 1

    def test_pictures_without_a_label_are_scored_the_same(self, trained: Trained, parts: Parts) -> None:
        model, known = trained[0], parts[1]
        unknown = Samples(known.pictures, np.full(len(known), UNKNOWN), known.classes, known.paths)
        np.testing.assert_array_equal(model.predict(unknown).scores, model.predict(known).scores)

    def test_same_seed_same_result(self, build: Build, parts: Parts) -> None:
        first, second = build(seed=5), build(seed=5)
        epochs = list(first.fit(*parts))
        torch.manual_seed(99)  # the world outside must not matter
        np.random.seed(99)
        assert_same_epochs(epochs, list(second.fit(*parts)))
        assert_same(first.weights(), second.weights())
        assert first.parameters == second.parameters > 0

    def test_another_seed_another_result(self, trained: Trained, build: Build, parts: Parts) -> None:
        other = build(seed=1)
        list(other.fit(*parts))
        same = np.array_equal(trained[0].predict(parts[1]).scores, other.predict(parts[1]).scores)
        assert same is not self.family.seeded, "Family.seeded must say whether another seed gives another result"
        if not self.family.seeded:
            assert_same(other.weights(), trained[0].weights())

    def test_weights_give_the_same_scores_again(self, trained: Trained, build: Build, parts: Parts) -> None:
        model, other = trained[0], build(seed=1)
        weights = model.weights()
        assert all(isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu" for tensor in weights.values())
        other.load_weights(through_a_file(weights))
        np.testing.assert_array_equal(other.predict(parts[1]).scores, model.predict(parts[1]).scores)

    def test_weights_are_copies(self, trained: Trained, build: Build, parts: Parts) -> None:
        model = build(seed=1)  # one of its own: where weights are no copies, it is spoiled
        model.load_weights(trained[0].weights())
        scores = model.predict(parts[1]).scores
        for tensor in model.weights().values():
            tensor.zero_()
        np.testing.assert_array_equal(model.predict(parts[1]).scores, scores)

    @pytest.fixture(scope="class")
    @classmethod
    def unbroken(cls, build: Build, parts: Parts) -> Trained:
        """A model of seed 3 with its epochs, which was never broken off."""
        model = build(seed=3)
        return model, list(model.fit(*parts))

    @pytest.mark.parametrize("stop", range(EPOCHS + 1))
    def test_resuming_equals_not_stopping(self, unbroken: Trained, build: Build, parts: Parts, stop: int) -> None:
        model, whole = unbroken
        before = build(seed=3)
        training = before.fit(*parts)
        first = [epoch for _, epoch in zip(range(stop), training, strict=False)]
        state = through_a_file(before.state())
        training.close()  # type: ignore[attr-defined]
        after = build(seed=3)
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        after.load(state)
        assert_same_epochs(whole, first + list(after.fit(*parts)))
        assert_same(model.state(), after.state())
        np.testing.assert_array_equal(after.predict(parts[1]).scores, model.predict(parts[1]).scores)

    def test_a_state_stays_as_it_was(self, build: Build, parts: Parts) -> None:
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

    def test_predict_changes_nothing(self, build: Build, parts: Parts) -> None:
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

    def test_the_random_state_of_others_is_left_alone(self, build: Build, parts: Parts) -> None:
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
        model = build()
        list(model.fit(*parts))
        model.predict(parts[1])
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]
        assert random.getstate() == before[2]

    def test_pictures_are_read_by_rows_only(self, build: Build, parts: Parts) -> None:
        train, validation = (Samples(_Mapped(np.asarray(p.pictures)), p.labels, p.classes, p.paths) for p in parts)
        mapped, plain = build(), build()
        assert_same_epochs(list(mapped.fit(train, validation)), list(plain.fit(*parts)))

    def test_the_module_predicts_the_same(self, trained: Trained, parts: Parts) -> None:
        if self.family.module is None:
            pytest.skip("the family has no module: its models can't be exported")
        model, expected = trained[0], trained[0].predict(parts[1])
        module = self.family.module(model)
        assert not any(part.training for part in module.modules())
        pictures = torch.from_numpy(parts[1].pictures[np.arange(len(parts[1]))])
        with torch.no_grad():
            for given in (pictures, pictures.float()):
                found = module(given)
                scores, maps = found if isinstance(found, tuple) else (found, None)
                np.testing.assert_allclose(scores.double().numpy(), expected.scores, rtol=1e-5, atol=1e-9)
                assert (maps is None) == (expected.maps is None)
                if maps is not None and expected.maps is not None:
                    np.testing.assert_allclose(maps, expected.maps, rtol=1e-4, atol=1e-5 * expected.maps.max())
            alone = module(pictures[:1])
        first = alone[0] if isinstance(alone, tuple) else alone
        np.testing.assert_allclose(first.double().numpy(), expected.scores[:1], rtol=1e-5, atol=1e-9)

    def test_facts_are_texts(self, trained: Trained) -> None:
        assert all(type(key) is str and type(value) is str for key, value in trained[0].facts().items())

    def test_every_key_has_a_default_and_unknown_ones_are_refused(self) -> None:
        self.family.config()
        with pytest.raises(ValueError, match="no_such_key"):
            self.family.config.model_validate({"no_such_key": 1})


class _Mapped:
    """Pictures that can be had by rows alone, as those of a store."""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        self._array = array
        self.shape = array.shape

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        assert isinstance(rows, np.ndarray)
        assert rows.dtype == np.int64
        taken: NDArray[np.uint8] = self._array[rows]
        return taken


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
    """The same losses, scores and ends, to the last bit."""
    assert [dict(epoch.losses) for epoch in first] == [dict(epoch.losses) for epoch in second]
    assert [epoch.last for epoch in first] == [epoch.last for epoch in second]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.validation.scores, other.validation.scores)

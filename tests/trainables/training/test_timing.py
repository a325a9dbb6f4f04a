"""How a model is timed, by models whose time is known."""

import time
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.families import FAMILIES
from trainables.cache import Cache
from trainables.interface import Family, FamilyConfig, Prediction, Problem, Samples
from trainables.training.timing import measure_speed


class SleepConfig(FamilyConfig):
    call: float = 0.0
    """Seconds of each call."""
    picture: float = 0.0
    """Seconds of each picture beyond."""
    hold: int = 0
    """Bytes that a call fills."""


class Sleeper:
    parameters = 0

    def __init__(self, config: SleepConfig, problem: Problem, seed: int) -> None:
        self.config = config
        assert problem.cache is None, "these very pictures may lie in it"

    def predict(self, samples: Samples) -> Prediction:
        held = np.ones(self.config.hold, dtype=np.uint8)
        time.sleep(self.config.call + self.config.picture * len(samples))
        return Prediction(np.full(len(samples), float(held[:1].sum())))

    def load_weights(self, weights: Any) -> None:
        self.weights = dict(weights)


FAMILY = Family("sleeper", "detection", SleepConfig, Sleeper)  # type: ignore[arg-type]
PROBLEM = Problem(("normal", "anomaly"), (8, 8, 3), 1)
WEIGHTS = {"numbers": torch.zeros(1000)}


def samples(count: int = 5) -> Samples:
    pictures = np.zeros((count, 8, 8, 3), np.uint8)
    return Samples(pictures, np.zeros(count, np.int64), PROBLEM.classes, tuple(map(str, range(count))))


def measured(batches: bool = True, **config: float) -> Any:
    return measure_speed(FAMILY, config, PROBLEM, 0, WEIGHTS, samples(), batches=batches, beside=3)


def test_latency_is_that_of_one_picture_alone() -> None:
    slow, fast = (measured(batches=False, call=seconds) for seconds in (0.1, 0.001))
    assert slow.latency_ms >= 100
    assert fast.latency_ms >= 1
    assert slow.latency_ms > 5 * fast.latency_ms
    assert (slow.pictures_per_second, slow.best_batch) == (None, None)
    assert (slow.beside, slow.threads) == (3, torch.get_num_threads())
    assert slow.device


def test_the_batch_is_that_with_most_pictures_a_second() -> None:
    together, apart = measured(call=0.01), measured(picture=0.02)
    assert together.best_batch >= 16, "a call costs the same whatever its batch, and there are but 5 pictures"
    assert together.pictures_per_second > 4 * 1000 / together.latency_ms
    assert apart.pictures_per_second < 2 * 1000 / apart.latency_ms
    assert apart.best_batch * 0.02 < 2, "what gains nothing is not tried for long"


def test_one_call_is_enough_of_a_model_that_takes_very_long() -> None:
    found = measured(call=0.6)
    assert found.best_batch == 1
    assert found.pictures_per_second == pytest.approx(1000 / found.latency_ms)


def test_memory_is_the_numbers_and_what_a_picture_takes_beyond() -> None:
    little, much = measured(batches=False), measured(batches=False, hold=200 * 2**20)
    assert little.memory >= 4000
    assert 180 * 2**20 < much.memory - little.memory < 260 * 2**20


@pytest.mark.usefixtures("one_thread")
def test_a_family_of_ours_is_timed_as_it_is_loaded_and_stays_as_it_was(make_samples: Any, tmp_path: Any) -> None:
    family = FAMILIES["conv_autoencoder"].family
    train = make_samples(8, 1, detection=True, normal_only=True)
    validation = make_samples(6, 2, detection=True)
    problem = Problem(train.classes, (32, 32, 3), 2, cache=Cache(tmp_path, 10**6), data="these")
    config = {"architecture": "B", "batch_size": 8, "augmentation": 0.0}

    def trained(look: bool) -> list[Any]:
        model = family.build(family.config(**config), problem, 0)
        found = []
        for epoch in model.fit(train, validation):
            found.append(epoch.validation.scores)
            if look:
                speed = measure_speed(family, config, problem, 0, model.weights(), validation, batches=False)
                assert speed.memory > sum(one.nbytes for one in model.weights().values()) - 1
        return found

    np.testing.assert_array_equal(trained(True), trained(False))

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from trainables.errors import InputError
from trainables.interface import Problem, Samples
from trainables.training.loop import EpochLoop, TrainingConfig, split_batches
from trainables.training.loss_mean import LossMean


class SquaredError:
    """Loss and score of an autoencoder, as later families use the loop."""

    def losses(self, output: Tensor, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        errors = self.scores(output, pictures)
        return errors, (labels == 0).float()

    def scores(self, output: Tensor, pictures: Tensor) -> Tensor:
        return (output - pictures).square().flatten(1).mean(dim=1)


def loop(epochs: int = 3, network: nn.Module | None = None, followed: tuple[float, ...] = (), **keys: Any) -> EpochLoop:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = network or nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1))
    problem = Problem(("a", "b"), (8, 8, 3), epochs, followed=followed)
    return EpochLoop(network, SquaredError(), TrainingConfig(**keys), problem, seed=0)


def noise(count: int, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return Samples(pictures, np.arange(count) % 2, ("a", "b"), tuple(map(str, range(count))))


def test_batches_hold_every_row_once_and_none_is_alone() -> None:
    for count in range(2, 40):
        for size in (2, 3, 8, 64):
            batches = split_batches(np.arange(count), size)
            assert np.concatenate(batches).tolist() == list(range(count))
            assert all(2 <= len(batch) <= size + 1 for batch in batches)


def test_a_lone_last_sample_does_not_break_batch_norm() -> None:
    assert len(list(loop(batch_size=4).fit(noise(9), noise(4)))) == 3


def test_one_training_sample_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2 pictures, not 1"):
        list(loop().fit(noise(1), noise(4)))


def test_every_epoch_has_its_own_order_and_the_seed_decides_it() -> None:
    orders = []
    for _ in range(2):
        training, train, asked = loop(batch_size=12), noise(12), []

        def watched(samples: Samples, rows: np.ndarray, training=training, train=train, asked=asked) -> Tensor:
            if samples is train:
                asked.append(rows.tolist())
            return training.pictures(samples, rows)

        training.fetch = watched
        list(training.fit(train, noise(4)))
        orders.append(asked)
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders[0]}) == 3
    assert all(sorted(order) == list(range(12)) for order in orders[0])


def test_the_losses_are_means_over_the_samples_that_count() -> None:
    training = loop(epochs=1)
    validation = noise(301, seed=1)  # more than one scoring batch
    (epoch,) = training.fit(noise(20), validation)
    counted = epoch.validation.scores[validation.labels == 0]
    assert epoch.losses["validation_loss"] == pytest.approx(counted.mean(), rel=1e-6)


def test_training_lowers_the_loss() -> None:
    training = loop(epochs=8, learning_rate=0.02, batch_size=8)
    losses = [epoch.losses["train_loss"] for epoch in training.fit(noise(64), noise(16))]
    assert losses[-1] < 0.5 * losses[0]


class Still(nn.Module):
    """Gives black pictures whatever its weight is, so that the loss stands still."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures * self.weight * 0


def test_a_plateau_lowers_the_learning_rate() -> None:
    training = loop(epochs=5, network=Still(), learning_rate=0.1, plateau_patience=1, plateau_factor=0.1)
    rates = [training.optimizer.param_groups[0]["lr"] for _ in training.fit(noise(8), noise(4))]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001])


def test_the_learning_rate_may_follow_another_training_s_losses_for_its_epochs() -> None:
    falling, rising = ((3.0, 2.0, 1.0), [0.1] * 5), ((0.0, 1.0, 2.0), [0.1, 0.1, 0.01, 0.01, 0.001])
    for followed, rates in (falling, rising):
        keys = {"network": Still(), "learning_rate": 0.1, "plateau_patience": 1, "plateau_factor": 0.1}
        training = loop(epochs=5, followed=followed, **keys)
        had = [training.optimizer.param_groups[0]["lr"] for _ in training.fit(noise(8), noise(4))]
        np.testing.assert_allclose(had, rates)


def test_a_loss_that_is_no_number_ends_training_and_names_the_place() -> None:
    training = loop(learning_rate=1e30, batch_size=4)
    with pytest.raises(FloatingPointError, match=r"not finite: epoch \d, step \d+"):
        list(training.fit(noise(40), noise(4)))


def test_the_first_bad_step_is_named() -> None:
    mean = LossMean("epoch 2")
    for value in (1.0, 2.0, float("inf"), float("nan")):
        mean.add(torch.tensor([value]), torch.ones(1))
    with pytest.raises(FloatingPointError, match="epoch 2, step 3"):
        mean.result()


def test_a_bad_step_is_noticed_before_a_long_epoch_ends() -> None:
    training = loop(learning_rate=1e30, batch_size=2)
    with pytest.raises(FloatingPointError, match="not finite: epoch 1, step"):
        list(training.fit(noise(1000), noise(4)))
    assert int(training.optimizer.state_dict()["state"][0]["step"]) <= 64, "of 500 steps"


def test_adamw_decays_weights_apart_from_the_gradient() -> None:
    assert isinstance(loop(optimizer="adamw").optimizer, torch.optim.AdamW)
    assert not isinstance(loop(optimizer="adam").optimizer, torch.optim.AdamW)


@pytest.mark.parametrize(
    "keys",
    [
        {"learning_rate": -0.1},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"weight_decay": -1},
        {"batch_size": 1},
        {"optimizer": "sgd"},
        {"plateau_factor": 1},
        {"plateau_patience": -1},
    ],
)
def test_impossible_values_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        TrainingConfig(**keys)

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.configurations.training import TrainingConfig
from trainables.interface import Epoch, Problem, Samples
from trainables.parts.augmentation import PhotoAugmentation
from trainables.parts.conv_networks import conv_autoencoder
from trainables.parts.cross_entropy import CrossEntropy
from trainables.parts.heads import plot_head
from trainables.parts.reconstruction import MeanSquaredError
from trainables.parts.vae_networks import vae
from trainables.training.loop import Apart, EpochLoop
from trainables.training.together import Together
from trainables.vae import VaeObjective

SIDE, COUNT = 16, 45
PICTURES = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
pytestmark = pytest.mark.usefixtures("one_thread")

MEMBERS: list[dict[str, Any]] = [
    {"seed": 0, "learning_rate": 1e-3, "dropout": 0.3, "kl": 1.0},
    {"seed": 1, "learning_rate": 2e-3, "weight_decay": 1e-2, "dropout": 0.0, "kl": 0.1},
    {"seed": 1, "learning_rate": 1e-4, "weight_decay": 1e-3, "dropout": 0.6, "kl": 2.0},
]


def samples(classes: int = 1) -> Samples:
    labels = np.arange(COUNT) % classes
    return Samples(PICTURES, labels, ("normal", "anomaly"), tuple(map(str, range(COUNT))))


def in_double(samples: Samples, rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(samples.pictures[rows]).double().permute(0, 3, 1, 2) / 255


def flat_in_double(samples: Samples, rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(samples.pictures[rows]).double().flatten(1)[:, :24] / 255


def loop(kind: str, member: dict[str, Any], *, double: bool = True, epochs: int = 4, **keys: Any) -> EpochLoop:
    given = {"weight_decay": 0.0, **member}
    torch.manual_seed(given["seed"])
    network: nn.Module
    if kind == "head":
        network, objective = plot_head(24, 2, given["dropout"]), CrossEntropy()
    elif kind == "conv_autoencoder":
        network, objective = conv_autoencoder("A", 3, 0.5), MeanSquaredError()
    else:
        network = vae("small_conv", (SIDE, SIDE, 3), 6)
        objective = VaeObjective(given["kl"], "reconstruction_kl")
    rates = {name: given[name] for name in ("learning_rate", "weight_decay")}
    config = TrainingConfig(**{"batch_size": 9, "optimizer": "adam", **rates, **keys})
    problem = Problem(("normal", "anomaly"), (SIDE, SIDE, 3), epochs)
    fetch = (flat_in_double if kind == "head" else in_double) if double else None
    task = "classification" if kind == "head" else "detection"
    return EpochLoop(
        network.double() if double else network, objective, config, problem, given["seed"], fetch=fetch, task=task
    )


def in_turn(loops: list[EpochLoop], train: Samples, validation: Samples) -> list[list[Epoch]]:
    """The epochs of loops that go side by side."""
    trainings = [each.fit(train, validation) for each in loops]
    found: list[list[Epoch]] = [[] for _ in loops]
    for _ in range(max(each.epochs for each in loops)):
        for training, epochs in zip(trainings, found, strict=True):
            epochs.extend(epoch for epoch in [next(training, None)] if epoch is not None)
    return found


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("kind", ["conv_autoencoder", "vae", "head"])
def test_members_end_where_each_would_have_ended_alone(kind: str, optimizer: str) -> None:
    train, validation = samples(2 if kind == "head" else 1), samples(2)
    keys = {"optimizer": optimizer, "gradient_clipping": 0.5}
    alone = [loop(kind, member, **keys) for member in MEMBERS]
    together = [loop(kind, member, **keys) for member in MEMBERS]
    expected = [list(each.fit(train, validation)) for each in alone]
    Together(together)
    found = in_turn(together, train, validation)
    assert 4 * -(-COUNT // 9) == 20, "the steps of each"
    for one, other, epochs, others in zip(alone, together, expected, found, strict=True):
        # Weights and the statistics of BatchNorm.
        for name, tensor in one.network.state_dict().items():
            torch.testing.assert_close(other.network.state_dict()[name], tensor, rtol=0, atol=1e-10)
        for epoch, same in zip(epochs, others, strict=True):
            assert dict(same.losses) == pytest.approx(dict(epoch.losses), rel=1e-9)
            np.testing.assert_allclose(same.validation.scores, epoch.validation.scores, rtol=1e-9)
        assert one.scheduler.state_dict()["best"] == pytest.approx(other.scheduler.state_dict()["best"], rel=1e-9)


def test_in_single_precision_pictures_are_fetched_once_for_all_and_changed_for_each() -> None:
    train, validation = samples(), samples(2)
    masks = np.zeros(PICTURES.shape[:3], dtype=np.uint8)
    validation = Samples(PICTURES, validation.labels, validation.classes, validation.paths, masks=masks)
    alone, together = ([loop("conv_autoencoder", member, double=False) for member in MEMBERS] for _ in range(2))
    for loops in (alone, together):
        for strength, each in zip((1.0, 3.0, 10.0), loops, strict=True):
            each.augment = PhotoAugmentation(strength)
    expected = [list(each.fit(train, validation)) for each in alone]
    Together(together)
    for epochs, others in zip(expected, in_turn(together, train, validation), strict=True):
        for epoch, same in zip(epochs, others, strict=True):
            np.testing.assert_allclose(same.validation.scores, epoch.validation.scores, rtol=1e-3)
            assert same.validation.maps is not None
            assert same.validation.maps.shape == PICTURES.shape[:3]
            np.testing.assert_allclose(same.validation.maps, epoch.validation.maps, atol=1e-3)  # type: ignore[arg-type]


def test_a_member_that_was_broken_off_goes_on_alone_as_if_it_had_been_alone() -> None:
    train, validation = samples(), samples(2)
    (expected,) = ([*loop("vae", MEMBERS[1]).fit(train, validation)] for _ in range(1))
    together = [loop("vae", member) for member in MEMBERS]
    Together(together)
    trainings = [each.fit(train, validation) for each in together]
    for _ in range(2):
        for training in trainings:
            next(training)
    alone = loop("vae", MEMBERS[1])
    alone.load(together[1].state())
    for epoch, same in zip(expected[2:], alone.fit(train, validation), strict=True):
        assert dict(same.losses) == pytest.approx(dict(epoch.losses), rel=1e-8)


def test_one_that_leaves_or_diverges_stops_no_other() -> None:
    train, validation = samples(), samples(2)
    wild = {**MEMBERS[0], "learning_rate": 1e30}
    (expected,) = ([*loop("conv_autoencoder", MEMBERS[1]).fit(train, validation)] for _ in range(1))
    together = [loop("conv_autoencoder", member) for member in (MEMBERS[0], wild, MEMBERS[1])]
    Together(together)
    first, second, third = (each.fit(train, validation) for each in together)
    next(first)
    first.close()
    epochs = [next(third)]
    with pytest.raises(FloatingPointError, match="The loss is not finite"):
        list(second)
    epochs.extend(third)
    assert [dict(epoch.losses) for epoch in epochs] == [
        pytest.approx(dict(epoch.losses), rel=1e-9) for epoch in expected
    ]


class Noisy(nn.Module):
    def forward(self, given: Tensor) -> Tensor:
        return given + torch.rand_like(given) if self.training else given


def test_what_can_not_be_trained_together_says_why() -> None:
    pairs = {
        "networks of one shape": (loop("vae", MEMBERS[0]), loop("conv_autoencoder", MEMBERS[0])),
        "one kind of optimiser": (loop("vae", MEMBERS[0]), loop("vae", MEMBERS[1], optimizer="adamw")),
        "one batch size": (loop("vae", MEMBERS[0]), loop("vae", MEMBERS[1], batch_size=8)),
        "one gradient clipping": (loop("vae", MEMBERS[0]), loop("vae", MEMBERS[1], gradient_clipping=1.0)),
    }
    for why, pair in pairs.items():
        with pytest.raises(Apart, match=why):
            Together(pair)
    large = [loop("conv_autoencoder", member) for member in MEMBERS]
    for each in large:
        each.network.unused = nn.Linear(3000, 2000)
    with pytest.raises(Apart, match="each has more than 5,000,000 parameters"):
        Together(large)


class Twice(nn.Module):
    """Says one thing in training, and asks what can't be asked of many networks at once."""

    def forward(self, given: Tensor) -> Tensor:
        return given * 2 if given.sum().item() > -1e9 else given


@pytest.mark.parametrize(
    ("layer", "reason"), [(Noisy(), "rand_like draws in a way that is not known"), (Twice(), "RuntimeError: ")]
)
def test_what_turns_out_not_to_be_stackable_trains_alone_and_says_why(layer: nn.Module, reason: str) -> None:
    train, validation = samples(), samples(2)
    alone, strange = ([loop("conv_autoencoder", member, epochs=2) for member in MEMBERS] for _ in range(2))
    for each in (*alone, *strange):
        each.network = nn.Sequential(each.network, layer)
    expected = [list(each.fit(train, validation)) for each in alone]
    Together(strange)
    for epochs, others in zip(expected, in_turn(strange, train, validation), strict=True):
        assert [dict(epoch.losses) for epoch in epochs] == [dict(epoch.losses) for epoch in others]
    for each in strange:
        assert each.facts()["computed"].startswith(f"not stacked ({reason}")


class Choosy(MeanSquaredError):
    """Has a score that can't be had of many networks at once."""

    def scores(self, output: Tensor, pictures: Tensor) -> Tensor:
        found = super().scores(output, pictures)
        if not torch.is_grad_enabled() and found.sum().item() < 0:
            raise AssertionError("a mean of squares is not below 0")
        return found


def test_what_can_not_be_validated_together_is_not_trained_twice() -> None:
    train, validation = samples(), samples(2)
    alone, strange = ([loop("conv_autoencoder", member, epochs=2) for member in MEMBERS] for _ in range(2))
    for each in (*alone, *strange):
        each.objective = Choosy()
    expected = [list(each.fit(train, validation)) for each in alone]
    Together(strange)
    for epochs, others in zip(expected, in_turn(strange, train, validation), strict=True):
        assert [dict(epoch.losses) for epoch in epochs] == [dict(epoch.losses) for epoch in others]
    assert all(each.apart.startswith("RuntimeError: ") for each in strange)

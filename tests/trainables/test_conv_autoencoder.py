from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score
from torch import nn

from trainables.conv_autoencoder import FAMILY, ConvAutoencoder, ConvAutoencoderConfig, check
from trainables.errors import InputError
from trainables.interface import Problem, Samples
from trainables.parts.conv_networks import Architecture, conv_autoencoder

DETECTION = ("normal", "anomaly")


def model(samples: Samples, epochs: int = 2, seed: int = 0, **keys: Any) -> ConvAutoencoder:
    height, width, channels = samples.pictures.shape[1:]
    config = ConvAutoencoderConfig(**{"batch_size": 8, **keys})
    return ConvAutoencoder(config, Problem(DETECTION, (height, width, channels), epochs), seed)


def blotched(count: int, seed: int, anomalies: bool) -> Samples:
    """Smooth pictures; every second one with a patch of noise where there are anomalies."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 2 * np.pi, 16)
    phases = rng.uniform(0, 2 * np.pi, (count, 1, 1, 1))
    pictures = 128 + 60 * np.sin(time[None, :, None, None] + phases) * np.ones((1, 1, 16, 3))
    labels = np.arange(count, dtype=np.int64) % 2 if anomalies else np.zeros(count, dtype=np.int64)
    for row in np.flatnonzero(labels):
        pictures[row, 4:12, 4:12] = rng.integers(0, 256, (8, 8, 3))
    return Samples(pictures.astype(np.uint8), labels, DETECTION, tuple(map(str, range(count))))


@pytest.mark.parametrize(("architecture", "parameters"), [("A", 527_715), ("B", 53_235), ("C", 527_715)])
def test_parameters_are_the_published_ones(architecture: Architecture, parameters: int) -> None:
    config, problem = ConvAutoencoderConfig(architecture=architecture), Problem(DETECTION, (32, 32, 3), 1)
    assert ConvAutoencoder(config, problem, 0).parameters == parameters


def test_the_layers_stand_in_the_published_order() -> None:
    def kinds(architecture: Architecture) -> str:
        names = {nn.Conv2d: "c", nn.ConvTranspose2d: "t", nn.ReLU: "r", nn.MaxPool2d: "p", nn.Upsample: "u"}
        return "".join(names.get(type(layer), "s") for layer in conv_autoencoder(architecture, 3))

    assert kinds("A") == "crcrcrcr" + "ccc" + "ucucuc" + "s"
    assert kinds("B") == "crp" * 3 + "cr" + "trtrt" + "s"
    strides = [layer.stride[0] for layer in conv_autoencoder("A", 3) if isinstance(layer, nn.Conv2d)]
    assert strides == [1, 2, 1, 2, 1, 2, 1, 1, 1, 1]


def test_a_and_c_are_one_network() -> None:
    first, second = conv_autoencoder("A", 3), conv_autoencoder("C", 3)
    second.load_state_dict(first.state_dict())
    pictures = torch.rand(2, 3, 16, 24)
    assert torch.equal(first(pictures), second(pictures))
    (remark,) = check(ConvAutoencoderConfig(architecture="C"), Problem(DETECTION, (32, 32, 3), 1))
    assert "the same network as A" in remark


@pytest.mark.parametrize("architecture", ["A", "B", "C"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (40, 72, 3), (64, 16, 3)])
def test_any_size_divisible_by_eight_is_taken(architecture: Architecture, shape: tuple[int, int, int]) -> None:
    check(ConvAutoencoderConfig(architecture=architecture), Problem(DETECTION, shape, 1))
    pictures = torch.rand(2, shape[2], shape[0], shape[1])
    drawn = conv_autoencoder(architecture, shape[2])(pictures)
    assert drawn.shape == pictures.shape
    assert 0 <= drawn.min() < drawn.max() <= 1


def test_the_bottleneck_widens_the_code_alone() -> None:
    for architecture, factor, channels in (("A", 0.5, 64), ("B", 2.0, 32), ("B", 0.01, 1)):
        layers = list(conv_autoencoder(architecture, 3, factor))  # type: ignore[arg-type]
        published = list(conv_autoencoder(architecture, 3))  # type: ignore[arg-type]
        changed = [
            (new, old)
            for new, old in zip(layers, published, strict=True)
            if isinstance(new, nn.Conv2d | nn.ConvTranspose2d)
            and isinstance(old, nn.Conv2d | nn.ConvTranspose2d)
            and new.weight.shape != old.weight.shape
        ]
        (last_down, _), (first_up, _) = changed
        assert last_down.out_channels == first_up.in_channels == channels
    facts = model(blotched(2, 0, False), bottleneck=0.25).facts()
    assert facts == {"bottleneck": "32 channels"}


def test_it_learns_what_is_normal() -> None:
    train, validation = blotched(64, 1, anomalies=False), blotched(40, 2, anomalies=True)
    keys = {"architecture": "B", "learning_rate": 1e-2, "augmentation": 0.0, "weight_decay": 0.0}
    epochs = list(model(train, epochs=15, **keys).fit(train, validation))
    last = epochs[-1]
    assert last.losses["validation_loss"] < epochs[0].losses["validation_loss"] / 2
    assert last.losses["anomaly_loss"] > last.losses["validation_loss"]
    assert last.losses["validation_loss"] == pytest.approx(last.validation.scores[validation.labels == 0].mean())
    assert roc_auc_score(validation.labels, last.validation.scores) > 0.95


def test_augmentation_changes_what_is_trained_on_and_nothing_else() -> None:
    train = blotched(16, 1, anomalies=False)
    plain, augmented = (model(train, augmentation=strength) for strength in (0.0, 1.0))
    np.testing.assert_array_equal(plain.predict(train).scores, augmented.predict(train).scores)
    (one, _), (other, _) = (list(trained.fit(train, train)) for trained in (plain, augmented))
    assert one.losses["train_loss"] != other.losses["train_loss"]


def test_the_gallery_shows_normals_and_anomalies() -> None:
    samples = blotched(20, 1, anomalies=True)
    normals, anomalies = model(samples).gallery(samples)
    for gallery in (normals, anomalies):
        assert [pictures.shape for _, pictures in gallery.rows] == [(8, 16, 16, 3)] * 2
    np.testing.assert_array_equal(anomalies.rows[0][1], np.asarray(samples.pictures)[1:16:2])


def test_a_size_that_does_not_fit_is_refused_with_sizes_that_do() -> None:
    with pytest.raises(
        InputError, match=r"architecture B .* divisible by 8; these are 32 x 30.*\[32, 24\] or \[32, 32\]"
    ):
        check(ConvAutoencoderConfig(architecture="B"), Problem(DETECTION, (32, 30, 3), 1))
    with pytest.raises(InputError, match="these have 2"):
        check(ConvAutoencoderConfig(), Problem(DETECTION, (32, 32, 2), 1))


@pytest.mark.parametrize(
    "keys", [{"architecture": "D"}, {"bottleneck": 0}, {"augmentation": -1}, {"augmentation": 11}, {"optimizer": "sgd"}]
)
def test_impossible_values_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        FAMILY.config(**keys)


def test_by_default_it_is_the_published_one() -> None:
    config = ConvAutoencoderConfig()
    assert (config.optimizer, config.learning_rate, config.bottleneck, config.augmentation) == ("adamw", 4e-4, 1, 1)

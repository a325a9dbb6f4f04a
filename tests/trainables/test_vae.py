from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.distributions import Normal, kl_divergence

from trainables.errors import InputError
from trainables.interface import Problem, Samples
from trainables.parts.vae_networks import Architecture, Vae, VaeOutput, encoder, vae
from trainables.vae import FAMILY, VaeConfig, VaeModel, VaeObjective, check

DETECTION = ("normal", "anomaly")
SIZES: dict[Architecture, tuple[int, int]] = {
    "linear": (7, 9),
    "small_conv": (16, 8),
    "big_conv": (8, 16),
    "conv224": (32, 64),
}


def model(samples: Samples, epochs: int = 2, seed: int = 0, **keys: Any) -> VaeModel:
    height, width, channels = samples.pictures.shape[1:]
    config = VaeConfig(**{"latent_dim": 4, "batch_size": 8, **keys})
    return VaeModel(config, Problem(DETECTION, (height, width, channels), epochs), seed)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def smudged(count: int, seed: int, anomalies: bool) -> Samples:
    """Grey ramps of differing brightness; every second one with a dark square where there are anomalies."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(60, 180, 16)[None, :, None, None] * np.ones((1, 1, 16, 3))
    pictures = ramp * rng.uniform(0.9, 1.1, (count, 1, 1, 1)) + rng.normal(0, 4, (count, 16, 16, 3))
    labels = np.arange(count, dtype=np.int64) % 2 if anomalies else np.zeros(count, dtype=np.int64)
    for row in np.flatnonzero(labels):
        top, left = rng.integers(0, 10, 2)
        pictures[row, top : top + 6, left : left + 6] = 10
    return Samples(pictures.clip(0, 255).astype(np.uint8), labels, DETECTION, tuple(map(str, range(count))))


@pytest.mark.parametrize(
    ("architecture", "size", "parameters"),
    [
        ("linear", (40, 72), 89_869_504),
        ("small_conv", (40, 72), 2_353_123),
        ("big_conv", (40, 72), 11_769_027),
        ("conv224", (224, 224), 15_237_187),
    ],
)
def test_parameters_are_the_published_ones(architecture: Architecture, size: tuple[int, int], parameters: int) -> None:
    with torch.device("meta"):
        assert count(vae(architecture, (*size, 3), 128)) == parameters


def test_the_published_encoder_has_its_parameters() -> None:
    with torch.device("meta"):
        assert count(encoder("conv224", (224, 224, 3), 128)) == 9_212_576


def test_a_model_counts_all_its_parameters() -> None:
    config, problem = VaeConfig(architecture="small_conv"), Problem(DETECTION, (40, 72, 3), 1)
    assert VaeModel(config, problem, 0).parameters == 2_353_123


@pytest.mark.parametrize("architecture", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_reconstructions_have_the_shape_of_the_pictures(architecture: Architecture, channels: int) -> None:
    height, width = SIZES[architecture]
    assert (
        check(VaeConfig(architecture=architecture, latent_dim=3), Problem(DETECTION, (height, width, channels), 1))
        == []
    )
    network = vae(architecture, (height, width, channels), 3)
    pictures = torch.rand(2, channels, height, width)
    output = network(pictures)
    assert output.reconstruction.shape == pictures.shape
    assert 0 <= output.reconstruction.min() < output.reconstruction.max() <= 1
    assert output.mean.shape == output.log_variance.shape == (2, 3)


def test_only_the_linear_one_drops_out_and_where_the_seed_does() -> None:
    network = vae("linear", (4, 4, 1), 2, dropout=0.4)
    followed = [
        (layers[place - 3].out_features, layer.p)  # type: ignore[union-attr]
        for layers in (network.encoder.layers, network.decoder)
        for place, layer in enumerate(layers)  # type: ignore[arg-type]
        if isinstance(layer, nn.Dropout)
    ]
    assert followed == [(2048, 0.4), (4096, 0.4)]
    for architecture in ("small_conv", "big_conv", "conv224"):
        others = vae(architecture, (32, 32, 1), 2, dropout=0.4)  # type: ignore[arg-type]
        assert not any(isinstance(layer, nn.Dropout) for layer in others.modules())


def test_z_is_drawn_in_training_and_mu_in_scoring() -> None:
    network, pictures = vae("small_conv", (8, 8, 3), 4), torch.rand(2, 3, 8, 8)
    network.eval()
    first, second = network(pictures), network(pictures)
    assert torch.equal(first.reconstruction, second.reconstruction)
    assert torch.equal(first.reconstruction, network.decoder(first.mean))
    for part in network.modules():
        # Batch statistics would tell training from scoring even without z.
        part.training = part is network
    assert not torch.equal(network(pictures).reconstruction, network(pictures).reconstruction)


def test_z_has_the_mean_and_the_variance_of_the_encoder() -> None:
    class Fixed(nn.Module):
        def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            size = len(pictures)
            return torch.full((size, 1), 3.0), torch.full((size, 1), np.log(0.25))

    network = Vae(Fixed(), nn.Identity()).train()  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        z = network(torch.zeros(20_000, 1)).reconstruction
    assert float(z.mean()) == pytest.approx(3, abs=0.02)
    assert float(z.std()) == pytest.approx(0.5, abs=0.02)


def test_losses_and_scores_are_what_they_say() -> None:
    rng = torch.Generator().manual_seed(0)
    pictures, drawn = torch.rand(3, 3, 4, 5, generator=rng), torch.rand(3, 3, 4, 5, generator=rng)
    mean, log_variance = torch.randn(3, 2, generator=rng), torch.randn(3, 2, generator=rng)
    output = VaeOutput(drawn, mean, log_variance)
    divergence = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(dim=1)
    summed = torch.stack([((drawn[i] - pictures[i]) ** 2).sum() for i in range(3)])
    objective = VaeObjective(2.5, "reconstruction")
    losses, weights = objective.losses(output, pictures, torch.zeros(3))
    torch.testing.assert_close(losses, summed + 2.5 * divergence)
    assert weights.tolist() == [1, 1, 1]
    torch.testing.assert_close(objective.scores(output, pictures), summed / 60)
    torch.testing.assert_close(objective.maps(output, pictures).mean(dim=(1, 2)), summed / 60)
    torch.testing.assert_close(VaeObjective(2.5, "reconstruction_kl").scores(output, pictures), losses / 60)


def test_absurd_variances_stay_finite() -> None:
    network = vae("small_conv", (8, 8, 1), 2)
    with torch.no_grad():
        network.encoder.log_variance.bias.fill_(1e6)
    pictures = torch.rand(2, 1, 8, 8)
    output = network.train()(pictures)
    losses, _ = VaeObjective(1.0, "reconstruction").losses(output, pictures, torch.zeros(2))
    assert torch.isfinite(losses).all()


def test_it_learns_what_is_normal() -> None:
    train, validation = smudged(64, 1, anomalies=False), smudged(40, 2, anomalies=True)
    epochs = list(model(train, epochs=12, learning_rate=3e-3).fit(train, validation))
    last = epochs[-1]
    assert last.losses["validation_loss"] < epochs[0].losses["validation_loss"] / 2
    assert last.losses["anomaly_loss"] > last.losses["validation_loss"]
    assert roc_auc_score(validation.labels, last.validation.scores) > 0.95


def test_validation_losses_are_those_of_z_equal_mu() -> None:
    train, validation = smudged(16, 1, anomalies=False), smudged(10, 2, anomalies=True)
    trained = model(train, epochs=1, kl_weight=0.5)
    (epoch,) = trained.fit(train, validation)
    pictures = torch.from_numpy(np.asarray(validation.pictures)).permute(0, 3, 1, 2) / 255
    network = trained.vae.eval()
    with torch.no_grad():
        mean, log_variance = network.encoder(pictures)
        output = VaeOutput(network.decoder(mean), mean, log_variance)
        losses, _ = VaeObjective(0.5, "reconstruction").losses(output, pictures, torch.zeros(10))
    normal = torch.from_numpy(validation.labels == 0)
    assert epoch.losses["validation_loss"] == pytest.approx(float(losses[normal].mean()), rel=1e-5)
    assert epoch.losses["anomaly_loss"] == pytest.approx(float(losses[~normal].mean()), rel=1e-5)


def test_maps_point_at_the_anomaly() -> None:
    train = smudged(64, 1, anomalies=False)
    trained = model(train, epochs=10, learning_rate=3e-3)
    list(trained.fit(train, train))
    odd = smudged(2, 3, anomalies=True)
    square = np.asarray(odd.pictures)[1, :, :, 0] < 40
    prediction = trained.predict(odd)
    assert prediction.maps is not None
    np.testing.assert_allclose(prediction.maps.mean(axis=(1, 2)), prediction.scores, rtol=1e-5)
    assert prediction.maps[1][square].mean() > 5 * prediction.maps[1][~square].mean()


def test_the_gallery_shows_noise_normals_and_anomalies() -> None:
    samples = smudged(30, 1, anomalies=True)
    first, again, other = (model(samples, seed=seed).gallery(samples) for seed in (0, 0, 1))
    noise, normals, anomalies = first
    (label, pictures), *rest = noise.rows
    assert rest == []
    assert "z ~ N(0, 1)" in label
    assert (pictures.shape, pictures.dtype) == ((8, 16, 16, 3), np.uint8)
    np.testing.assert_array_equal(pictures, again[0].rows[0][1])
    assert not np.array_equal(pictures, other[0].rows[0][1])
    for gallery, label_of in ((normals, 0), (anomalies, 1)):
        (_, seen), (_, drawn) = gallery.rows
        np.testing.assert_array_equal(seen, np.asarray(samples.pictures)[samples.labels == label_of][:8])
        assert (drawn.shape, drawn.dtype) == (seen.shape, np.uint8)
        assert not np.array_equal(seen, drawn)


def test_galleries_of_grey_pictures_and_without_anomalies() -> None:
    whole = smudged(3, 1, anomalies=False)
    grey = Samples(np.asarray(whole.pictures)[..., :1].copy(), whole.labels, whole.classes, whole.paths)
    noise, normals = model(grey).gallery(grey)
    assert noise.rows[0][1].shape == (8, 16, 16, 3)
    assert [pictures.shape for _, pictures in normals.rows] == [(3, 16, 16, 3)] * 2


@pytest.mark.parametrize(
    ("keys", "shape", "message"),
    [
        ({}, (39, 72, 3), r"small_conv .* divisible by 8; these are 39 x 72 .*Set size: \[32, 72\] or \[40, 72\]"),
        ({"architecture": "conv224"}, (40, 64, 3), r"divisible by 32.*\[32, 64\] or \[64, 64\]"),
        ({"architecture": "big_conv"}, (4, 4, 3), r"divisible by 8.*Set size: \[8, 8\]\."),
        ({}, (8, 8, 4), r"1 channel \(grey\) or 3 \(RGB\); these have 4"),
        ({"latent_dim": 65}, (8, 8, 1), r"latent_dim is 65.* 8 x 8 x 1 has 64 values.*64 or less"),
    ],
)
def test_what_can_not_be_built_is_refused(keys: dict[str, Any], shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(VaeConfig(**keys), Problem(DETECTION, shape, 1))


def test_remarks() -> None:
    problem = Problem(DETECTION, (8, 8, 3), 1)
    assert check(VaeConfig(), problem) == []
    assert check(VaeConfig(architecture="linear", dropout=0.1), problem) == []
    remarks = " ".join(check(VaeConfig(dropout=0.1, mixed_precision=True), problem))
    assert "dropout changes nothing: small_conv has none" in remarks
    assert "mixed_precision changes nothing" in remarks


@pytest.mark.parametrize(
    "keys", [{"latent_dim": 0}, {"kl_weight": -1}, {"dropout": 1}, {"score": "kl"}, {"architecture": "huge"}]
)
def test_impossible_values_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        FAMILY.config(**keys)


def test_anomalies_are_not_trained_on() -> None:
    odd = smudged(8, 1, anomalies=True)
    with pytest.raises(AssertionError, match="normal pictures alone"):
        list(model(odd).fit(odd, odd))

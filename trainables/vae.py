"""The family of variational autoencoders that detect by what they can't reconstruct (seeds 001 and 003)."""

from math import prod
from typing import Literal

import torch
from torch import Tensor

from trainables.configurations.vae import Architecture, VaeConfig
from trainables.errors import InputError
from trainables.interface import Family, Gallery, Problem, Samples
from trainables.parts.reconstruction import (
    SHOWN,
    Autoencoder,
    as_pictures,
    check_pictures,
    precision_remarks,
    squared_errors,
    to_rgb,
)
from trainables.parts.vae_networks import Vae, VaeOutput, divisor, vae


class VaeObjective:
    """The negative evidence lower bound of a Gaussian decoder, its scale as the seeds have it."""

    numbers = ("kl_weight",)

    def __init__(self, kl_weight: float, score: Literal["reconstruction", "reconstruction_kl"]) -> None:
        self.kl_weight, self.score = kl_weight, score

    def losses(self, output: VaeOutput, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Each picture's summed squared error + kl_weight * KL, in squared units of [0, 1]; all count alike."""
        summed = squared_errors(output.reconstruction, pictures).flatten(1).sum(dim=1)
        losses = summed + self.kl_weight * kl_divergence(output.mean, output.log_variance)
        return losses, torch.ones_like(losses)

    def scores(self, output: VaeOutput, pictures: Tensor) -> Tensor:
        """The mean squared error over a picture's values, or the whole loss divided by their number: (B,)."""
        mean_errors = squared_errors(output.reconstruction, pictures).flatten(1).mean(dim=1)
        if self.score == "reconstruction":
            return mean_errors
        divergence = kl_divergence(output.mean, output.log_variance)
        return mean_errors + self.kl_weight * divergence / pictures[0].numel()

    def maps(self, output: VaeOutput, pictures: Tensor) -> Tensor:
        """Each pixel's squared error, averaged over the channels (B, H, W)."""
        return squared_errors(output.reconstruction, pictures).mean(dim=1)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each picture, in nats: (B, latent) twice -> (B,)."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)


class VaeModel(Autoencoder):
    """A VAE. z is drawn in training; whatever is measured, validation_loss too, is measured with z = mu."""

    def __init__(self, config: VaeConfig, problem: Problem, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.vae = vae(config.architecture, problem.shape, config.latent_dim, config.dropout)
        objective = VaeObjective(config.kl_weight, config.score)
        super().__init__(
            self.vae, objective, config, problem, seed, reconstruction=lambda output: output.reconstruction
        )

    def gallery(self, samples: Samples) -> list[Gallery]:
        """Samples from noise, drawn from the model's seed, and reconstructions of normals and of anomalies."""
        noise = noise_pictures(self.vae, self.seed)
        return [
            Gallery("Samples from noise", (("decoded from z ~ N(0, 1)", to_rgb(as_pictures(noise))),)),
            *super().gallery(samples),
        ]


def noise_pictures(network: Vae, seed: int) -> Tensor:
    """Eight pictures (8, C, H, W) decoded from standard normal z."""
    latent_dim = network.encoder.mean.out_features
    z = torch.randn(SHOWN, latent_dim, generator=torch.Generator().manual_seed(seed))
    network.eval()
    with torch.inference_mode():
        pictures: Tensor = network.decoder(z.to(network.encoder.mean.weight.device))
    return pictures


def check(config: VaeConfig, problem: Problem) -> list[str]:
    """What to say before training starts. Raises InputError where this can't be built for these pictures."""
    check_latent("vae", "", config.architecture, config.latent_dim, problem.shape)
    remarks = precision_remarks(config, problem.device)
    if config.architecture != "linear" and "dropout" in config.model_fields_set:
        remarks.append(f"dropout changes nothing: {config.architecture} has none; linear has.")
    return remarks


def check_latent(
    family: str, prefix: str, architecture: Architecture, latent_dim: int, shape: tuple[int, int, int]
) -> None:
    """InputError for a picture size that `architecture` does not take, or a latent space larger than a picture.

    `prefix` stands before the keys of the configuration.
    """
    check_pictures(family, f"{prefix}architecture {architecture}", shape, divisor(architecture))
    values = prod(shape)
    if latent_dim > values:
        height, width, channels = shape
        raise InputError(
            f"{family}: {prefix}latent_dim is {latent_dim}, and a picture of {height} x {width} x {channels} has "
            f"{values} values; the latent space may not be larger. Set {prefix}latent_dim to {values} or less."
        )


FAMILY = Family(
    name="vae",
    task="detection",
    config=VaeConfig,
    build=VaeModel,
    check=check,
    spans=True,
    stackable=VaeModel.ready,
    module=VaeModel.module,
    # The score changes no loss, so that a loss can't choose it either.
    loss_keys=("architecture", "kl_weight", "score"),
    scoring_keys=("score",),
)

"""The four variational autoencoders of the seeds: linear, small_conv and big_conv (seed 003), conv224 (seed 001)."""

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables.configurations.vae import Architecture
from trainables.training.precision import in_full

HIDDEN = (4096, 2048, 512, 128)
"""The widths of `linear`'s encoder; its decoder has them backwards."""
DENSE_LAYERS = 3
"""How many layers make one of `linear`'s steps: Linear, BatchNorm, Hardswish."""
LOG_VARIANCE_LIMIT = 20.0
"""exp(20) is still far from float32's end; beyond it a bad start would overflow."""


@dataclass(frozen=True)
class ConvPlan:
    """What tells the convolutional architectures apart."""

    down: int
    """How many times the sides are halved: heights and widths are divisible by 2**down."""
    width: int
    """The channels of the smallest feature map."""


PLANS: dict[str, ConvPlan] = {
    "small_conv": ConvPlan(3, 128),
    "big_conv": ConvPlan(3, 512),
    "conv224": ConvPlan(5, 512),
}


class VaeOutput(NamedTuple):
    """What a VAE gives for a batch."""

    reconstruction: Tensor
    """(B, C, H, W) in [0, 1]."""
    mean: Tensor
    """(B, latent): mu of q(z|x)."""
    log_variance: Tensor
    """(B, latent), clamped to ±LOG_VARIANCE_LIMIT."""


class Encoder(nn.Module):
    """Pictures (B, C, H, W) -> mean and log variance (B, latent) of q(z|x)."""

    def __init__(self, layers: nn.Module, features: int, latent_dim: int) -> None:
        super().__init__()
        self.layers = layers
        self.mean = nn.Linear(features, latent_dim)
        self.log_variance = nn.Linear(features, latent_dim)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        features = self.layers(pictures)
        log_variance = in_full(self.log_variance(features))
        return in_full(self.mean(features)), log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)


class Vae(nn.Module):
    """An encoder and a decoder (Kingma & Welling 2014, arXiv 1312.6114). z is drawn in training, else it is mu."""

    def __init__(self, encoder: Encoder, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, pictures: Tensor) -> VaeOutput:
        mean, log_variance = self.encoder(pictures)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp() if self.training else mean
        return VaeOutput(self.decoder(z), mean, log_variance)


def vae(architecture: Architecture, shape: tuple[int, int, int], latent_dim: int, dropout: float = 0.25) -> Vae:
    """An untrained VAE for pictures of `shape` (H, W, C). `dropout` stands in `linear` alone."""
    return Vae(encoder(architecture, shape, latent_dim, dropout), decoder(architecture, shape, latent_dim, dropout))


def encoder(architecture: Architecture, shape: tuple[int, int, int], latent_dim: int, dropout: float = 0.25) -> Encoder:
    """The encoder alone."""
    height, width, channels = shape
    if architecture == "linear":
        dense = [layer for pair in pairwise((prod(shape), *HIDDEN)) for layer in _dense(*pair)]
        dense.insert(2 * DENSE_LAYERS, nn.Dropout(dropout))
        return Encoder(nn.Sequential(nn.Flatten(), *dense), HIDDEN[-1], latent_dim)
    stack: list[nn.Module] = []
    if architecture == "conv224":
        for inputs, outputs in zip((channels, 32, 64, 128, 256), (32, 64, 128, 256, 512), strict=True):
            stack += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    else:
        first = PLANS[architecture].width // (4 if architecture == "small_conv" else 8)
        stack += [nn.Conv2d(channels, first, 3, padding=1), nn.Hardswish(), nn.MaxPool2d(2)]
        for inputs in (first, 2 * first):
            stack += [*_conv(inputs, 2 * inputs), nn.MaxPool2d(2)]
        if architecture == "big_conv":
            stack += _conv(4 * first, 8 * first)
    return Encoder(nn.Sequential(*stack, nn.Flatten()), prod(_smallest(architecture, height, width)), latent_dim)


def decoder(architecture: Architecture, shape: tuple[int, int, int], latent_dim: int, dropout: float) -> nn.Sequential:
    """z (B, latent) -> pictures (B, C, H, W) in [0, 1]."""
    height, width, channels = shape
    if architecture == "linear":
        dense = [layer for pair in pairwise((latent_dim, *reversed(HIDDEN))) for layer in _dense(*pair)]
        last = nn.Linear(HIDDEN[0], prod(shape))
        unflatten = nn.Unflatten(1, (channels, height, width))
        return nn.Sequential(*dense, nn.Dropout(dropout), last, nn.Sigmoid(), unflatten)
    smallest = _smallest(architecture, height, width)
    stack: list[nn.Module] = [nn.Linear(latent_dim, prod(smallest)), nn.Unflatten(1, smallest)]
    if architecture == "conv224":
        for inputs in (512, 256, 128, 64):
            outputs = inputs // 2
            stack += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        return nn.Sequential(*stack, nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1), nn.Sigmoid())
    width_now = smallest[0]
    if architecture == "big_conv":
        stack += _conv(width_now, width_now // 2)
        width_now //= 2
    for inputs in (width_now, width_now // 2):
        outputs = inputs // 2
        stack += [nn.ConvTranspose2d(inputs, outputs, 2, stride=2), nn.BatchNorm2d(outputs), nn.Hardswish()]
    return nn.Sequential(*stack, nn.ConvTranspose2d(width_now // 4, channels, 2, stride=2), nn.Sigmoid())


def divisor(architecture: Architecture) -> int:
    """What both sides of a picture must be divisible by."""
    return 2 ** PLANS[architecture].down if architecture in PLANS else 1


def _smallest(architecture: Architecture, height: int, width: int) -> tuple[int, int, int]:
    """(channels, height, width) of the smallest feature map."""
    step = divisor(architecture)
    assert height % step == width % step == 0, "check has refused other sizes"
    return PLANS[architecture].width, height // step, width // step


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.Hardswish()]


def _conv(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.Hardswish()]

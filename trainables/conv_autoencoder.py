"""The family of plain convolutional autoencoders, architectures A, B and C (seed 004)."""

from typing import Literal

import torch
from pydantic import Field

from trainables.interface import Family, Problem
from trainables.parts.augmentation import PhotoAugmentation
from trainables.parts.conv_networks import DIVISOR, Architecture, code_channels, conv_autoencoder
from trainables.parts.reconstruction import Autoencoder, MeanSquaredError, check_pictures, precision_remarks
from trainables.training.loop import TrainingConfig


class ConvAutoencoderConfig(TrainingConfig):
    """What one convolutional autoencoder is; by default as published, but for the batch size, which is not told."""

    architecture: Architecture = "A"
    """As published, A and C are one network, written in two ways."""
    bottleneck: float = Field(1.0, gt=0, le=4)
    """The code's channels, as a multiple of the published 128 (A, C) or 16 (B); at least one."""
    augmentation: float = Field(1.0, ge=0, le=10)
    """Training pictures are flipped both ways, and turned and lit by up to so many degrees and percent; 0: none."""
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(4e-4, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(0.01, ge=0, allow_inf_nan=False)


class ConvAutoencoder(Autoencoder):
    """One of the three networks, scored by each picture's mean squared error."""

    def __init__(self, config: ConvAutoencoderConfig, problem: Problem, seed: int) -> None:
        self.code = code_channels(config.architecture, config.bottleneck)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network = conv_autoencoder(config.architecture, problem.shape[2], config.bottleneck)
        augment = PhotoAugmentation(config.augmentation) if config.augmentation else None
        super().__init__(network, MeanSquaredError(), config, problem, seed, augment)

    def facts(self) -> dict[str, str]:
        """How wide the code is."""
        return {"bottleneck": f"{self.code} channels"}


def check(config: ConvAutoencoderConfig, problem: Problem) -> list[str]:
    """What to say before training starts. Raises InputError where this can't be built for these pictures."""
    check_pictures("conv_autoencoder", f"architecture {config.architecture}", problem.shape, DIVISOR)
    remarks = precision_remarks(config, problem.device)
    if config.architecture == "C":
        remarks.append("architecture C is, layer by layer, the same network as A: with one seed both give one result.")
    return remarks


FAMILY = Family(
    name="conv_autoencoder",
    task="detection",
    config=ConvAutoencoderConfig,
    build=ConvAutoencoder,
    check=check,
    # A wider bottleneck always reconstructs better, anomalies too.
    loss_keys=("architecture", "bottleneck"),
)

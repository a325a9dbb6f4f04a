"""The family of plain convolutional autoencoders, architectures A, B and C (seed 004)."""

import torch

from trainables.configurations.conv_autoencoder import ConvAutoencoderConfig
from trainables.interface import Family, Problem
from trainables.parts.augmentation import PhotoAugmentation
from trainables.parts.conv_networks import DIVISOR, code_channels, conv_autoencoder
from trainables.parts.reconstruction import Autoencoder, MeanSquaredError, check_pictures, precision_remarks


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
        return {"bottleneck": f"{self.code} channels", **super().facts()}


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
    spans=True,
    stackable=ConvAutoencoder.ready,
    module=ConvAutoencoder.module,
    # A wider bottleneck always reconstructs better, anomalies too.
    loss_keys=("architecture", "bottleneck"),
)

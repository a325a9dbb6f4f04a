"""The keys of `conv_autoencoder`."""

from typing import Literal

from pydantic import Field

from trainables.configurations.training import TrainingConfig

Architecture = Literal["A", "B", "C"]


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


CONFIG = ConvAutoencoderConfig

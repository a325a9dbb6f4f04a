"""The keys of `feature_autoencoder`."""

from typing import Literal

from pydantic import Field

from trainables.configurations.frozen_features import FrozenFeaturesConfig
from trainables.configurations.training import TrainingConfig


class FeatureAutoencoderConfig(TrainingConfig, FrozenFeaturesConfig):
    """What one feature autoencoder is. The defaults are seed 002's."""

    learning_rate: float = Field(1e-4, gt=0, allow_inf_nan=False)
    batch_size: int = Field(4, ge=2)
    gradient_clipping: float = Field(1.0, ge=0, allow_inf_nan=False)
    input: Literal["rgb", "rgbd"] = "rgb"
    """rgbd: depth as a fourth channel, scaled to [0, 1] by the training part's 1st and 99th percentile."""
    grid: int = Field(64, ge=2)
    """The features of all stages are resized to so many places a side."""
    latent_dim: int = Field(128, ge=1)
    cache_megabytes: int = Field(1024, ge=0)
    """Memory for the frozen features of training and validation where the cache on the disk has no room for them; those
    that do not fit here either are computed anew each time. A picture of 256 x 256 takes 2 MB with all four layers of a
    ResNet50."""


CONFIG = FeatureAutoencoderConfig

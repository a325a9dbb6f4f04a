"""The keys of `vae`."""

from typing import Literal

from pydantic import Field

from trainables.configurations.training import TrainingConfig

Architecture = Literal["linear", "small_conv", "big_conv", "conv224"]


class VaeConfig(TrainingConfig):
    """What one VAE is. Seed 003 trained with batches of 512; its linear one at a learning rate of 1e-3."""

    architecture: Architecture = "small_conv"
    """linear takes pictures of any size; small_conv and big_conv of sides divisible by 8; conv224 by 32."""
    latent_dim: int = Field(128, ge=1)
    """At most as many as a picture has values."""
    kl_weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    """What the KL divergence counts beside the squared error summed over a picture (beta, Higgins et al. 2017)."""
    dropout: float = Field(0.25, ge=0, lt=1)
    """Of `linear`, the only one that has it."""
    score: Literal["reconstruction", "reconstruction_kl"] = "reconstruction"
    """What an anomaly is seen by: the reconstruction error alone, or the whole loss."""
    learning_rate: float = Field(3e-4, gt=0, allow_inf_nan=False)
    batch_size: int = Field(128, ge=2)
    plateau_patience: int = Field(5, ge=0)


CONFIG = VaeConfig

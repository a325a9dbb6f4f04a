"""The keys of `vae_transfer`."""

from pydantic import Field

from trainables.configurations.training import TrainingConfig
from trainables.configurations.vae import Architecture, VaeConfig


class VaeTransferConfig(TrainingConfig):
    """What one classifier on a VAE is. Keys that begin with vae_ are those of stage 1; `mixed_precision` is of both."""

    vae_architecture: Architecture = "conv224"
    """linear takes pictures of any size; small_conv and big_conv of sides divisible by 8; conv224 by 32."""
    vae_latent_dim: int = Field(128, ge=1)
    vae_kl_weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    vae_dropout: float = Field(0.25, ge=0, lt=1)
    """Of `linear`, the only one that has it."""
    vae_learning_rate: float = Field(1e-4, gt=0, allow_inf_nan=False)
    vae_batch_size: int = Field(32, ge=2)
    vae_epochs: int = Field(50, ge=1)
    vae_patience: int | None = Field(10, ge=1)
    """End stage 1 after so many epochs without a lower validation loss; null: never."""
    train_encoder: bool = False
    """False: the encoder stays as stage 1 left it, its BatchNorm statistics with it."""
    encoder_learning_rate_factor: float = Field(0.1, gt=0, le=1)
    """What the learning rate is multiplied by in the encoder where it is trained."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """After the head's first layer; two thirds of it after the second."""

    def stage_one(self) -> VaeConfig:
        """The VAE's own configuration."""
        return VaeConfig.model_validate(
            {
                "architecture": self.vae_architecture,
                "latent_dim": self.vae_latent_dim,
                "kl_weight": self.vae_kl_weight,
                # Where nothing drops out, its rate makes no stage of its own.
                "dropout": self.vae_dropout if self.vae_architecture == "linear" else 0.0,
                "learning_rate": self.vae_learning_rate,
                "batch_size": self.vae_batch_size,
                "mixed_precision": self.mixed_precision,
            }
        )


CONFIG = VaeTransferConfig

"""The keys of every family that is trained by the epoch loop."""

from typing import Literal

from pydantic import Field

from trainables.interface import FamilyConfig


class TrainingConfig(FamilyConfig):
    """The keys of every family that is trained by this loop."""

    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(0.0, ge=0, allow_inf_nan=False)
    batch_size: int = Field(32, ge=2)
    """At least 2, because BatchNorm has no variance in a batch of one."""
    gradient_clipping: float = Field(0.0, ge=0, allow_inf_nan=False)
    """The largest L2 norm of all gradients together; 0: not clipped."""
    mixed_precision: bool = False
    """bfloat16 where the device computes in it; elsewhere it changes nothing."""
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    """What the learning rate is multiplied by when the validation loss stands still."""
    plateau_patience: int = Field(3, ge=0)
    """Epochs without a lower validation loss that it waits first."""

"""The keys of `pca_logistic`."""

from typing import Literal

from pydantic import Field

from trainables.interface import FamilyConfig


class PcaLogisticConfig(FamilyConfig):
    """What one logistic regression on principal components is."""

    thumbnail: int = Field(32, ge=2)
    """The side of the square thumbnails, in pixels."""
    components: int = Field(32, ge=1)
    """At most this many; fewer where there are fewer pictures or pixels."""
    C: float = Field(1.0, gt=0, allow_inf_nan=False)
    """The inverse of the L2 penalty's strength, as in scikit-learn."""
    class_weights: Literal["none", "balanced"] = "none"


CONFIG = PcaLogisticConfig

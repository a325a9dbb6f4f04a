"""What a kept model's validation pictures and scores were like: against it, new ones are compared."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

MOST_KEPT = 512
"""Values that are kept of one statistic: of more, evenly spaced ones in order of size."""


class Reference(BaseModel):
    """Statistics of validation pictures, in model.json. Each statistic is a sorted list of at most MOST_KEPT values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pictures: int
    """How many pictures there were."""
    sources: int
    """How many source pictures they come from: patches of one are no independent draws."""
    of: Literal["all", "normal"]
    """normal: of detection, the normal pictures alone."""
    values: dict[str, tuple[float, ...]]
    """By the statistic's name."""

"""What a kept model's validation pictures and scores were like: against it, new ones are compared."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

STATISTICS = ("brightness", "contrast", "saturation", "detail")
"""Of every second row of a picture, each from 0 to 1: mean luma, its standard deviation, mean distance of the largest
from the smallest channel, and mean absolute difference of the luma of pixels side by side."""
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

"""The keys of `patch_knn`."""

from typing import Literal

from pydantic import Field

from trainables.configurations.frozen_features import FrozenFeaturesConfig, Layers


class PatchKnnConfig(FrozenFeaturesConfig):
    """What one nearest-neighbour search is."""

    layers: Layers = "2+3"
    """Some of the four stages, as "2+3" or [2, 3]; resized to the finest of them."""
    reduction: int = Field(1, ge=1)
    """Each stage's channels are projected to one in so many; 1: not projected."""
    coreset: Literal["greedy", "random"] = "greedy"
    """greedy: each next patch is the one furthest from all chosen ones (k-centre); random: any."""
    coreset_share: float = Field(0.1, gt=0, le=1)
    """Of all training patches, but never more than most_patches."""
    most_patches: int = Field(10_000, ge=1)
    """The largest coreset. 10,000 patches of ResNet50's layers 2 and 3, 1,536 channels, take 61 MB, and the 40,000 that
    they are chosen from 246 MB while it is fitted."""
    reweighting: bool = False
    """The paper's: a score counts less where the nearest normal patch lies among others that are as near."""
    smoothing: float = Field(4.0, ge=0, allow_inf_nan=False)
    """The sigma of the Gaussian that smooths the maps, in pixels; 0: none. Scores are taken before it."""


CONFIG = PatchKnnConfig

"""The family that reconstructs frozen deep features with a 1x1 autoencoder (seed 002; DFR, arXiv 2012.07122)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from trainables.configurations.feature_autoencoder import FeatureAutoencoderConfig
from trainables.errors import InputError
from trainables.interface import Epoch, Family, Gallery, Prediction, Problem, Samples
from trainables.parts.depth_scale import depth_of, fit_depth_scale
from trainables.parts.frozen_features import (
    NORMALISATION,
    FrozenFeatures,
    align,
    check_features,
    feature_channels,
)
from trainables.parts.kept_features import KeptFeatures, check_frozen
from trainables.parts.whole_model import WholeModel
from trainables.training.loop import EpochLoop, snapshot
from trainables.training.precision import has_mixed_precision, in_full

SCORING_BATCH = 8
"""Pictures scored at a time: the aligned features of one, 960 channels of 64 x 64 places, take 16 MB."""


def one_by_one_autoencoder(channels: int, latent_dim: int) -> nn.Sequential:
    """channels -> 1/2 -> 1/4 -> latent -> 1/4 -> 1/2 -> channels by 1x1 convolutions with biases, on (B, C, h, w).

    ReLU between; none after the latent layer nor at the end. 1,215,968 parameters for 960 channels and 128, 209,984 for
    384 and 128.
    """
    half, quarter = max(1, channels // 2), max(1, channels // 4)
    return nn.Sequential(
        nn.Conv2d(channels, half, 1),
        nn.ReLU(),
        nn.Conv2d(half, quarter, 1),
        nn.ReLU(),
        nn.Conv2d(quarter, latent_dim, 1),
        nn.Conv2d(latent_dim, quarter, 1),
        nn.ReLU(),
        nn.Conv2d(quarter, half, 1),
        nn.ReLU(),
        nn.Conv2d(half, channels, 1),
    )


class FeatureReconstruction:
    """Mean squared error to train by; the L2 distance of features at each place as the map, its maximum as the score.

    `size` is that of the maps: the pictures' (height, width).
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def losses(self, output: Tensor, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Each sample's mean squared error (B,), all counting alike. `pictures` are aligned features (B, C, h, w)."""
        losses = (in_full(output) - pictures).square().mean(dim=(1, 2, 3))
        return losses, torch.ones_like(losses)

    def scores(self, output: Tensor, pictures: Tensor) -> Tensor:
        """The largest value of each map (B,)."""
        return self.maps(output, pictures).amax(dim=(1, 2))

    def maps(self, output: Tensor, pictures: Tensor) -> Tensor:
        """Distances (B, H, W), resized bilinear from the grid."""
        distances = torch.linalg.vector_norm(in_full(output) - pictures, dim=1, keepdim=True)
        return interpolate(distances, self.size, mode="bilinear", align_corners=False)[:, 0]


class _Aligned(nn.Module):
    """Pictures (B, C, H, W) in [0, 1] -> their aligned features on a grid."""

    def __init__(self, features: FrozenFeatures, grid: tuple[int, int]) -> None:
        super().__init__()
        self.features, self.grid = features, grid

    def forward(self, pictures: Tensor) -> Tensor:
        return align(self.features(pictures.expand(-1, 3, -1, -1)), self.grid)


class FeatureAutoencoder:
    """Frozen features, and a 1x1 autoencoder of them trained by the shared loop."""

    def __init__(self, config: FeatureAutoencoderConfig, problem: Problem, seed: int) -> None:
        self.config, self.problem = config, problem
        depth = config.input == "rgbd"
        self.features = FrozenFeatures(config, problem, seed, depth=depth, mixed=config.mixed_precision)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.network = one_by_one_autoencoder(sum(self.features.channels), config.latent_dim)
        objective = FeatureReconstruction((problem.shape[0], problem.shape[1]))
        self.kept = KeptFeatures(self.features, problem, config.cache_megabytes, depth=depth)
        self.loop = EpochLoop(
            self.network,
            objective,
            config,
            problem,
            seed,
            fetch=self._aligned,
            task="detection",
            scoring_batch=SCORING_BATCH,
        )

    @property
    def parameters(self) -> int:
        """All weights and biases, frozen ones too."""
        return self.features.parameters_held + self._trained

    @property
    def _trained(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())

    def facts(self) -> dict[str, str]:
        """Where the frozen weights came from, and how many are trained."""
        return {
            "weights": self.features.origin,
            "trained parameters": f"{self._trained:,}",
            "feature channels": str(sum(self.features.channels)),
            **self.kept.facts(),
            **self.loop.facts(),
        }

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        """Train on normal samples, yielding after each epoch."""
        self.frozen(train)
        with self.kept.opened(train, validation):
            yield from self.loop.fit(train, validation)

    def frozen(self, train: Samples) -> KeptFeatures:
        """The frozen features, once the training part has given the scale of depth where that takes part."""
        if self.config.input == "rgbd" and self.features.depth_scale is None:
            self.features.depth_scale = fit_depth_scale(depth_of(train))
        return self.kept

    def predict(self, samples: Samples) -> Prediction:
        """Anomaly scores (N,) and maps (N, H, W): distances between features and their reconstruction."""
        with self.kept.opened_if_cached(samples):
            return self.loop.predict(samples)

    def module(self) -> WholeModel:
        """`predict` as one module. Raises InputError of a model that reads depth."""
        if self.config.input == "rgbd":
            raise InputError(
                "it reads depth beside the pictures (input: rgbd), and an exported file takes pictures alone. Train a "
                "variant with input: rgb to export it; `load_model(FOLDER).predict(..., depth=...)` scores with this."
            )
        grid = self.config.grid
        return WholeModel(self.network, self.loop.objective, _Aligned(self.features, (grid, grid)))

    def gallery(self, samples: Samples) -> list[Gallery]:
        """Nothing: the maps are shown of every family that has them."""
        return []

    def state(self) -> dict[str, Any]:
        """All that resuming needs. The frozen numbers are named by their digest: the seed and the file give them."""
        scale = self.features.depth_scale
        return {"loop": self.loop.state(), "depth_scale": list(scale or ()), "frozen": self.features.digest()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back a `state`. Raises InputError where the frozen features are no longer those of before."""
        check_frozen(state["frozen"], self.features.digest(), self.config.backbone, self.features.origin)
        self.loop.load(state["loop"])
        scale = state["depth_scale"]
        self.features.depth_scale = (scale[0], scale[1], scale[2]) if scale else None

    def weights(self) -> dict[str, Tensor]:
        """The backbone, the projections and the scale of depth under `features.`, the rest under `autoencoder.`."""
        trained = {f"autoencoder.{name}": tensor for name, tensor in self.network.state_dict().items()}
        copied: dict[str, Tensor] = snapshot(trained)
        return {**self.features.kept(), **copied}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take back `weights`."""
        self.features.take_back(weights)
        prefix = "autoencoder."
        trained = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        self.network.load_state_dict(trained)

    def _aligned(self, samples: Samples, rows: NDArray[np.int64]) -> Tensor:
        """The aligned features (B, C, grid, grid) of these pictures: what the autoencoder reconstructs."""
        grid = self.config.grid
        return align(self.kept(samples, rows), (grid, grid))


def check(config: FeatureAutoencoderConfig, problem: Problem) -> list[str]:
    """What to say before training starts. Raises InputError where this can't be built for these pictures here."""
    depth = config.input == "rgbd"
    remarks = check_features(config, problem, "feature_autoencoder", depth=depth)
    height, width, _ = problem.shape
    if config.grid > min(height, width):
        raise InputError(
            f"grid is {config.grid}, and the pictures have {height} x {width} pixels; it must not exceed either side. "
            f"Set grid to {min(height, width)} or less, or raise data.size."
        )
    channels = feature_channels(config, problem, depth=depth)
    if config.latent_dim > channels:
        raise InputError(
            f"latent_dim is {config.latent_dim}, and layers {config.layers} of {config.backbone} give {channels} "
            f"channels: the latent layer must not be wider. Set latent_dim to {channels} or less, or add layers."
        )
    if config.mixed_precision and not has_mixed_precision(torch.device(problem.device)):
        remarks.append(f"mixed_precision changes nothing: {problem.device} does not compute in bfloat16.")
    return remarks


FAMILY = Family(
    name="feature_autoencoder",
    task="detection",
    config=FeatureAutoencoderConfig,
    build=FeatureAutoencoder,
    check=check,
    spans=True,
    module=FeatureAutoencoder.module,
    frozen=lambda model, train: model.frozen(train),
    loss_keys=("backbone", "weights", "input", "layers", "grid", "reduction", "padding"),
    blank=lambda config: config.model_copy(update={"weights": "none"}),
    normalisation=lambda config: NORMALISATION,
)

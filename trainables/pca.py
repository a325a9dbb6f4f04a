"""The cheap baseline of detection: what the first principal components of normal pictures can't reconstruct."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn
from torch.nn.functional import pad

from trainables.cache import Arrays
from trainables.configurations.pca import PcaConfig
from trainables.errors import InputError
from trainables.interface import Epoch, Family, Gallery, Prediction, Problem, Samples
from trainables.parts.principal_components import VERSION, PrincipalComponents, common_width, principal_components
from trainables.parts.reconstruction import reconstruction_gallery
from trainables.parts.thumbnails import area_weights, grey

VALUES_AT_A_TIME = 2**23
"""64 MiB of float64."""
KIND = "principal_components"
"""What they are called in the cache."""


class Preprocessing(nn.Module):
    """Blur, crop, thumbnail and grey, of which all but grey is one matrix on each side of a picture."""

    down: Tensor
    across: Tensor

    def __init__(self, config: PcaConfig, shape: tuple[int, int, int]) -> None:
        super().__init__()
        height, width, channels = shape
        self.rows, self.columns = kept_range(height, config.crop), kept_range(width, config.crop)
        self.plain = config.blur == 0 and config.thumbnail is None
        if not self.plain:
            self.register_buffer("down", torch.from_numpy(_side_matrix(height, self.rows, config)))
            self.register_buffer("across", torch.from_numpy(_side_matrix(width, self.columns, config)))
        self.grey = config.grey and channels == 3
        seen = (len(self.rows), len(self.columns))
        high, wide = seen if config.thumbnail is None else (config.thumbnail, config.thumbnail)
        self.shape = (high, wide, 1 if self.grey else channels)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (B, H, W, C), 0 to 255 -> (B, h, w, c) in [0, 1], float64."""
        seen = pictures.double()
        if self.plain:
            seen = seen[:, self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]
        if self.grey:
            seen = grey(seen)
        seen = seen / 255
        if self.plain:
            return seen
        moved = self.down @ (self.across @ seen.permute(0, 3, 2, 1)).transpose(2, 3)
        return moved.permute(0, 2, 3, 1)


def kept_range(side: int, share: float) -> range:
    """The pixels that a centred crop keeps of one side: at least one."""
    kept = max(1, round(share * side))
    start = (side - kept) // 2
    return range(start, start + kept)


def _side_matrix(side: int, kept: range, config: PcaConfig) -> NDArray[np.float64]:
    """(h, H): blur the whole side, keep a part of it, share it out among the thumbnail's pixels."""
    matrix = np.eye(side)
    if config.blur:
        matrix = gaussian_filter1d(matrix, config.blur, axis=0, mode="nearest")
    matrix = matrix[kept.start : kept.stop]
    return matrix if config.thumbnail is None else area_weights(len(kept), config.thumbnail) @ matrix


class PcaScores(nn.Module):
    """How far pictures are from what mean (D,) and components (K, D) reach: errors are those of what is seen."""

    mean: Tensor
    components: Tensor

    def __init__(
        self, preprocessing: Preprocessing, shape: tuple[int, int, int], tensors: Mapping[str, Tensor]
    ) -> None:
        """`shape`: (H, W, C) of the pictures."""
        super().__init__()
        self.preprocessing = preprocessing
        rows, columns = preprocessing.rows, preprocessing.columns
        self.margins = (columns.start, shape[1] - columns.stop, rows.start, shape[0] - rows.stop)
        self.has_maps = preprocessing.shape[:2] == (len(rows), len(columns))
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pictures (B, H, W, C), 0 to 255, -> scores (B,) and, where pixels keep their place, maps (B, H, W)."""
        seen = self.preprocessing(pictures)
        errors = (seen - self.nearest(seen)).square()
        scores = errors.flatten(1).mean(dim=1)
        return (scores, pad(errors.mean(dim=3), self.margins)) if self.has_maps else scores

    def nearest(self, seen: Tensor) -> Tensor:
        """Preprocessed pictures (B, h, w, c) -> the nearest that mean and components reach."""
        values = seen.flatten(1)
        nearest: Tensor = self.mean + (values - self.mean) @ self.components.T @ self.components
        return nearest.view(seen.shape)


class Pca:
    """Mean and components of the training normals; the score is a picture's mean squared error."""

    def __init__(self, config: PcaConfig, problem: Problem, seed: int) -> None:
        self.config, self.problem = config, problem
        self.preprocessing = Preprocessing(config, problem.shape)
        self.tensors: dict[str, Tensor] = {}
        self.fitted = False
        self.note = ""

    @property
    def parameters(self) -> int:
        """Mean and components; 0 before training."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def facts(self) -> dict[str, str]:
        """How many components there are, where they are fewer than asked for."""
        return {"components": self.note} if self.note else {}

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        """Fit at once: one epoch, the last. Raises InputError for fewer than two training pictures."""
        if self.fitted:
            return
        assert not train.labels.any(), "detection families train on normal pictures alone"
        if len(train) < 2:
            raise InputError(f"pca needs at least 2 normal pictures, not {len(train)}. Add data or change data.split.")
        wanted = self.config.components
        count = min(wanted, len(train) - 1, prod(self.preprocessing.shape))
        found = self._components(train, count)
        self.tensors = {"mean": torch.from_numpy(found.mean), "components": torch.from_numpy(found.components)}
        if len(found.components) < wanted:
            self.note = f"{len(found.components)} of {wanted}: the {len(train)} training pictures vary in no more"
        self.fitted = True
        prediction = self._score(validation, maps=validation.masks is not None)
        losses = {"train_loss": float(self._score(train, maps=False).scores.mean())}
        for name, label in (("validation_loss", 0), ("anomaly_loss", 1)):
            if (chosen := prediction.scores[validation.labels == label]).size:
                losses[name] = float(chosen.mean())
        yield Epoch(losses, prediction, last=True)

    def _components(self, train: Samples, count: int) -> PrincipalComponents:
        """The first `count` components, of a decomposition that all with this preprocessing share."""
        width = common_width(count, min(len(train) - 1, prod(self.preprocessing.shape)))

        def batches() -> Iterator[NDArray[np.float64]]:
            for _, pictures in self._batches(train):
                self.problem.pulse()
                yield self.preprocessing(pictures).flatten(1).numpy()

        def make() -> Arrays:
            return principal_components(batches, width)._asdict()

        cache = self.problem.cache if self.problem.data else None
        key = {
            "version": VERSION,
            "data": self.problem.data,
            "shape": self.problem.shape,
            "preprocessing": self.config.model_dump(mode="json", exclude={"components"}),
            "width": width,
        }
        made = make() if cache is None else cache.kept(KIND, key, make, self.problem.pulse)
        return PrincipalComponents(np.array(made["mean"]), np.array(made["components"][:count]))

    def predict(self, samples: Samples) -> Prediction:
        """Each picture's mean squared error (N,) and, without thumbnails, each pixel's as maps (N, H, W).

        Errors are those of the blurred picture; outside the crop maps are 0.
        """
        return self._score(samples, maps=True)

    def gallery(self, samples: Samples) -> list[Gallery]:
        """Reconstructions of normals and of anomalies."""
        return reconstruction_gallery(samples, self._reconstruct)

    def state(self) -> dict[str, Any]:
        """The weights, and whether there are any: a fit has no half."""
        return {"weights": self.weights(), "fitted": self.fitted, "note": self.note}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back a `state`."""
        self.load_weights(state["weights"])
        self.fitted, self.note = state["fitted"], state["note"]

    def weights(self) -> dict[str, Tensor]:
        """Copies of the mean picture (D,) and the components (K, D)."""
        return {name: tensor.clone() for name, tensor in self.tensors.items()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take back `weights`."""
        self.tensors = {name: tensor.clone() for name, tensor in weights.items()}

    def module(self) -> PcaScores:
        """`predict` as one module."""
        assert self.tensors, "predict comes after fit or load_weights"
        return PcaScores(self.preprocessing, self.problem.shape, self.tensors)

    def _score(self, samples: Samples, maps: bool) -> Prediction:
        scores = np.empty(len(samples))
        module = self.module()
        drawn = np.empty((len(samples), *self.problem.shape[:2]), np.float32) if maps and module.has_maps else None
        for rows, pictures in self._batches(samples):
            found = module(pictures)
            if module.has_maps:
                found, heat = found
                if drawn is not None:
                    drawn[rows] = heat.numpy()
            scores[rows] = found.numpy()
        return Prediction(scores, drawn)

    def _reconstruct(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        seen = self.preprocessing(torch.from_numpy(pictures))
        return seen.float().numpy(), self.module().nearest(seen).float().numpy()

    def _batches(self, samples: Samples) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """(rows, pictures (B, H, W, C))."""
        size = max(1, VALUES_AT_A_TIME // prod(self.problem.shape))
        for start in range(0, len(samples), size):
            rows = np.arange(start, min(start + size, len(samples)))
            yield rows, torch.from_numpy(samples.pictures[rows])


def check(config: PcaConfig, problem: Problem) -> list[str]:
    """Nothing to say. Raises InputError for more components than a picture has values."""
    high, wide, channels = Preprocessing(config, problem.shape).shape
    values = high * wide * channels
    if config.components > values:
        raise InputError(
            f"pca: components is {config.components}, and a picture has {values} values ({high} x {wide} x {channels} "
            f"after crop, thumbnail and grey). Set components to {values} or less."
        )
    return []


FAMILY = Family(
    name="pca",
    task="detection",
    gpu=False,
    config=PcaConfig,
    build=Pca,
    check=check,
    module=Pca.module,
    # More components always reconstruct better, anomalies too; the others change what is reconstructed.
    loss_keys=("components", "crop", "blur", "thumbnail", "grey"),
    seeded=False,
    single_epoch=True,
)

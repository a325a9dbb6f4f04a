"""Detection by reconstruction error: what the autoencoder families share."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.configurations.training import TrainingConfig
from trainables.errors import InputError
from trainables.interface import Epoch, Gallery, Prediction, Problem, Samples
from trainables.parts.whole_model import WholeModel
from trainables.training.loop import Augment, EpochLoop, Objective, snapshot
from trainables.training.precision import has_mixed_precision, in_full

SHOWN = 8
"""The most pictures in a row of a gallery."""

Reconstruct = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Pictures (K, H, W, C) -> (what the model sees of them, its reconstructions), both (K, h, w, 1 or 3) in [0, 1]."""


def squared_errors(reconstruction: Tensor, pictures: Tensor) -> Tensor:
    """The squared error of each value (B, C, H, W), float32 whatever precision the network computed in."""
    return (in_full(reconstruction) - pictures).square()


class MeanSquaredError:
    """Loss and score of a plain autoencoder: a picture's mean squared error over all its values."""

    def losses(self, output: Tensor, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Each picture's mean squared error (B,); all count alike."""
        errors = self.scores(output, pictures)
        return errors, torch.ones_like(errors)

    def scores(self, output: Tensor, pictures: Tensor) -> Tensor:
        """Each picture's mean squared error (B,)."""
        return squared_errors(output, pictures).flatten(1).mean(dim=1)

    def maps(self, output: Tensor, pictures: Tensor) -> Tensor:
        """Each pixel's squared error, averaged over the channels (B, H, W)."""
        return squared_errors(output, pictures).mean(dim=1)


class Autoencoder:
    """A network that reconstructs pictures, trained on normal ones by the shared loop."""

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        config: TrainingConfig,
        problem: Problem,
        seed: int,
        augment: Augment | None = None,
        reconstruction: Callable[[Any], Tensor] = lambda output: output,
    ) -> None:
        """`reconstruction` takes the reconstruction out of what the network gives."""
        self.network, self.seed, self._reconstruction = network, seed, reconstruction
        self.loop = EpochLoop(network, objective, config, problem, seed, augment, task="detection")

    @property
    def parameters(self) -> int:
        """All weights and biases."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def facts(self) -> dict[str, str]:
        """How it computed, where that is not as ever."""
        return self.loop.facts()

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        """Train on normal pictures, yielding after each epoch."""
        assert not train.labels.any(), "detection families train on normal pictures alone"
        yield from self.loop.fit(train, validation)

    def ready(self, train: Samples, validation: Samples) -> AbstractContextManager[EpochLoop]:
        """The loop, which needs nothing before its epochs."""
        return nullcontext(self.loop)

    def predict(self, samples: Samples) -> Prediction:
        """Anomaly scores (N,) and the error of each pixel as maps (N, H, W)."""
        return self.loop.predict(samples)

    def module(self) -> WholeModel:
        """`predict` as one module."""
        return WholeModel(self.network, self.loop.objective)

    def gallery(self, samples: Samples) -> list[Gallery]:
        """Reconstructions of normals and of anomalies."""
        return reconstruction_gallery(samples, self.reconstruct)

    def reconstruct(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pictures (K, H, W, C) -> the same in [0, 1], and their reconstructions."""
        seen = torch.from_numpy(pictures).to(self.loop.device).permute(0, 3, 1, 2).float() / 255
        self.network.eval()
        with torch.inference_mode():
            drawn = self._reconstruction(self.network(seen))
        return as_pictures(seen), as_pictures(drawn)

    def state(self) -> dict[str, Any]:
        """All that resuming needs."""
        return self.loop.state()

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back a `state`."""
        self.loop.load(state)

    def weights(self) -> dict[str, Tensor]:
        """Copies of the network's weights and statistics."""
        copied: dict[str, Tensor] = snapshot(dict(self.network.state_dict()))
        return copied

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take back `weights`."""
        self.network.load_state_dict(dict(weights))


def as_pictures(batch: Tensor) -> NDArray[np.float32]:
    """(B, C, H, W) on any device -> (B, H, W, C)."""
    return batch.float().permute(0, 2, 3, 1).cpu().numpy()


def reconstruction_gallery(samples: Samples, reconstruct: Reconstruct) -> list[Gallery]:
    """Normals above their reconstructions, then anomalies above theirs, at most eight each; nothing of what lacks."""
    galleries = []
    for label, name in ((0, "normal pictures"), (1, "anomalies")):
        rows = np.flatnonzero(samples.labels == label)[:SHOWN]
        if len(rows):
            seen, drawn = reconstruct(samples.pictures[rows])
            pictures = (("as the model sees them", to_rgb(seen)), ("reconstructed", to_rgb(drawn)))
            galleries.append(Gallery(f"Reconstructions of {name}", pictures))
    return galleries


def to_rgb(pictures: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(K, H, W, 1 or 3) in [0, 1] -> uint8 (K, H, W, 3)."""
    scaled = (pictures.clip(0, 1) * 255).round().astype(np.uint8)
    return np.repeat(scaled, 3, axis=3) if scaled.shape[3] == 1 else scaled


def check_pictures(family: str, model: str, shape: tuple[int, int, int], step: int) -> None:
    """InputError for channels other than 1 or 3, and for sides that are not divisible by `step`, naming near sizes."""
    height, width, channels = shape
    if channels not in (1, 3):
        raise InputError(
            f"{family} takes pictures of 1 channel (grey) or 3 (RGB); these have {channels}. Change data.layout."
        )
    if height % step or width % step:
        near = [[max(step, side // step * step), -(-side // step) * step] for side in (height, width)]
        sizes = dict.fromkeys((near[0][side], near[1][side]) for side in (0, 1))
        fitting = " or ".join(f"[{fit_height}, {fit_width}]" for fit_height, fit_width in sizes)
        raise InputError(
            f"{family}: {model} takes pictures whose sides are both divisible by {step}; these are {height} x {width} "
            f"(height x width). Set size: {fitting}."
        )


def precision_remarks(config: TrainingConfig, device: str) -> list[str]:
    """A remark where mixed precision is asked of a device that has none."""
    if config.mixed_precision and not has_mixed_precision(torch.device(device)):
        return [f"mixed_precision changes nothing: {device} does not compute in bfloat16."]
    return []

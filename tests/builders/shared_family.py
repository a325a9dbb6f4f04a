"""A family of one's own whose trainings workers may share, slow at will, and of which one may stumble: copied beside a
test's data."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainables.configurations.training import TrainingConfig
from trainables.interface import Epoch, Family, Gallery, Prediction, Problem, Samples
from trainables.parts.cross_entropy import CrossEntropy
from trainables.training.loop import EpochLoop, snapshot


class SharedConfig(TrainingConfig):
    batch_size: int = 8
    pause: float = 0.0
    """Seconds that each step takes more."""
    stumbles: int = -1
    """The worker that fails, from 0; -1: none does."""
    wild: bool = False
    """Whether it learns nothing."""


class Shared:
    """A small network with batch normalisation and dropout."""

    def __init__(self, config: SharedConfig, problem: Problem, seed: int) -> None:
        self.config, (height, width, channels) = config, problem.shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = nn.Sequential(
                nn.AvgPool2d(4),
                nn.Flatten(),
                nn.Linear(height * width * channels // 16, 16),
                nn.BatchNorm1d(16),
                nn.ReLU(),
                nn.Dropout(0.2),
                nn.Linear(16, len(problem.classes)),
            )
        if config.wild:
            self.network.requires_grad_(False)
            self.network[-1].bias.requires_grad_(True)
        self.loop = EpochLoop(self.network, CrossEntropy(), config, problem, seed, augment=self._step)
        self.parameters = sum(one.numel() for one in self.network.parameters())

    def _step(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        time.sleep(self.config.pause)
        if dist.is_initialized() and dist.get_rank() == self.config.stumbles and self.loop.epoch == 1:
            raise LookupError("a shelf is empty")
        return pictures

    def facts(self) -> dict[str, str]:
        return self.loop.facts()

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        yield from self.loop.fit(train, validation)

    def predict(self, samples: Samples) -> Prediction:
        return self.loop.predict(samples)

    def gallery(self, samples: Samples) -> list[Gallery]:
        return []

    def state(self) -> dict[str, Any]:
        return self.loop.state()

    def load(self, state: Mapping[str, Any]) -> None:
        self.loop.load(state)

    def weights(self) -> dict[str, Tensor]:
        copied: dict[str, Tensor] = snapshot(dict(self.network.state_dict()))
        return copied

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.network.load_state_dict(dict(weights))


def suggest(trial: Any) -> dict[str, Any]:
    return {"wild": trial.suggest_categorical("wild", [False, True])}


FAMILY = Family("shared", task="classification", config=SharedConfig, build=Shared, suggest=suggest, spans=True)

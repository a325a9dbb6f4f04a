"""A family of one's own that needs more time for one picture the more steps it takes, and is better by them: copied
beside a test's data."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.interface import Epoch, Family, FamilyConfig, Gallery, Prediction, Problem, Samples

SLOW_FROM = 2
SECONDS = 0.2


class PacedConfig(FamilyConfig):
    steps: int = 0
    shade: int = 0
    """Changes nothing: something to be searched beside the steps."""


class Paced:
    """Scores by the distance to the mean training picture; its loss says nothing but its steps."""

    parameters = 1

    def __init__(self, config: PacedConfig, problem: Problem, seed: int) -> None:
        self.config, self.mean = config, torch.zeros(1)

    def facts(self) -> dict[str, str]:
        return {}

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        for number in range(2):
            self.mean = torch.from_numpy(train.pictures[np.arange(len(train))].mean(axis=0))
            loss = 10.0 - self.config.steps - number / 10
            yield Epoch({"train_loss": loss, "validation_loss": loss}, self.predict(validation), number == 1)

    def predict(self, samples: Samples) -> Prediction:
        if self.config.steps >= SLOW_FROM and len(samples) == 1:
            time.sleep(SECONDS)
        apart = np.abs(samples.pictures[np.arange(len(samples))] - self.mean.numpy())
        return Prediction(apart.mean(axis=(1, 2, 3)))

    def gallery(self, samples: Samples) -> list[Gallery]:
        return []

    def state(self) -> dict[str, Any]:
        return self.weights()

    def load(self, state: Mapping[str, Any]) -> None:
        self.mean = state["mean"].clone()

    def weights(self) -> dict[str, Tensor]:
        return {"mean": self.mean.clone()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.mean = weights["mean"].clone()


def suggest(trial: Any) -> dict[str, Any]:
    return {"steps": trial.suggest_int("steps", 0, 3), "shade": trial.suggest_int("shade", 0, 1)}


FAMILY = Family("paced", task="detection", config=PacedConfig, build=Paced, suggest=suggest, seeded=False)

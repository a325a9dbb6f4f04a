"""Families of one's own whose every training leaves a line: copied beside a test's data, where it writes `fits.txt`,
and `seen.jsonl` with the paths that it was given. Where `interrupt` lies there, with the number of an epoch, a training
gets SIGTERM in it; where `pause` does, with seconds, every epoch takes so long."""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.interface import Epoch, Family, FamilyConfig, Gallery, Prediction, Problem, Samples


class CountedConfig(FamilyConfig):
    shift: int = 0
    """Changes the weights."""
    power: float = 1.0
    """Changes the scores alone."""


class Counted:
    """The mean training picture, moved a little by the seed and from epoch to epoch."""

    epochs, random = 1, True

    def __init__(self, config: CountedConfig, problem: Problem, seed: int) -> None:
        self.config, self.problem, self.seed = config, problem, seed
        self.mean: Tensor | None = None
        self.done = 0

    @property
    def parameters(self) -> int:
        return 0 if self.mean is None else self.mean.numel()

    def facts(self) -> dict[str, str]:
        return {"shift": str(self.config.shift)}

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        told = Path(__file__).with_name("fits.txt")
        if not self.done:
            with told.open("a") as file:
                file.write(f"{type(self).__name__} {self.seed} {self.config.shift}\n")
            with told.with_name("seen.jsonl").open("a") as file:
                file.write(json.dumps([train.paths, validation.paths]) + "\n")
        if told.with_name("broken").exists():
            raise RuntimeError("told to fail")
        pictures = train.pictures[np.arange(len(train))] / 255
        noise = np.random.default_rng(self.seed if self.random else 0).normal(0, 0.02, pictures.shape[1:])
        for epoch in range(self.done, self.epochs):
            if (pause := told.with_name("pause")).exists():
                time.sleep(float(pause.read_text()))
            moved = pictures.mean(axis=0) + noise + (self.config.shift + epoch) / 100
            self.mean, self.done = torch.from_numpy(moved), epoch + 1
            loss = float(np.abs(pictures - moved).mean()) / self.worth(epoch)
            if (asked := told.with_name("interrupt")).exists() and asked.read_text() == str(epoch + 1):
                asked.unlink()
                os.kill(os.getpid(), signal.SIGTERM)
            yield Epoch(
                {"train_loss": loss, "validation_loss": loss}, self.predict(validation), self.done == self.epochs
            )

    def worth(self, epoch: int) -> float:
        """What the loss of an epoch is divided by."""
        return epoch + 1

    def predict(self, samples: Samples) -> Prediction:
        assert self.mean is not None
        apart = np.abs(samples.pictures[np.arange(len(samples))] / 255 - self.mean.numpy())
        return Prediction((apart**self.config.power).mean(axis=(1, 2, 3)))

    def gallery(self, samples: Samples) -> list[Gallery]:
        return []

    def state(self) -> dict[str, Any]:
        return {"done": self.done, **self.weights()}

    def load(self, state: Mapping[str, Any]) -> None:
        self.done, self.mean = state["done"], state.get("mean")

    def weights(self) -> dict[str, Tensor]:
        return {} if self.mean is None else {"mean": self.mean.clone()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.mean = weights["mean"].clone()


class Plain(Counted):
    random = False


class Long(Counted):
    epochs = 4


class Turning(Counted):
    """Its third epoch of five is the best by far."""

    epochs = 5

    def worth(self, epoch: int) -> float:
        return 9 if epoch == 2 else 1


def suggest(trial: Any) -> dict[str, Any]:
    return {"shift": trial.suggest_int("shift", 0, 1), "power": trial.suggest_categorical("power", [1.0, 2.0])}


_SAME: dict[str, Any] = {
    "task": "detection",
    "config": CountedConfig,
    "suggest": suggest,
    "scoring_keys": ("power",),
}
RANDOM = Family("random", build=Counted, single_epoch=True, **_SAME)
PLAIN = Family("plain", build=Plain, single_epoch=True, seeded=False, **_SAME)
LONG = Family("long", build=Long, **_SAME)
TURNING = Family("turning", build=Turning, **_SAME)

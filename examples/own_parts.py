"""A family, a metric and a plot style of one's own in one file; `own_parts.yaml` names them.

Each is a row: `FAMILY` joins the families, `METRIC` the metrics, `STYLE` the plot styles. The file goes along to
workers on machines that do not see it. What a family promises is tried by `trainables.testing.FamilyContract`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.covariance import LedoitWolf
from torch import Tensor

from orchestrator.data.plotting.plot_style import PlotStyle
from orchestrator.scoring.judged import Detected
from orchestrator.scoring.metric_table import Metric
from trainables.errors import InputError
from trainables.interface import Epoch, Family, FamilyConfig, Gallery, Prediction, Problem, Samples


class MahalanobisConfig(FamilyConfig):
    """Every field is a key that an experiment may set under `fixed`, and search under `space`."""

    grid: int = Field(6, ge=2, le=32)
    """Cells a side, over whose pixels grey is averaged."""
    power: float = Field(1.0, gt=0, le=4)
    """What the grey is raised to: above 1, dark lines count more."""


class Mahalanobis:
    """Mean and covariance of the normals' grey in a grid; the score is the Mahalanobis distance.

    The covariance is that of Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
    2004.
    """

    def __init__(self, config: MahalanobisConfig, problem: Problem, seed: int) -> None:
        self.config, self.problem = config, problem
        self.tensors: dict[str, Tensor] = {}
        self.fitted = False

    @property
    def parameters(self) -> int:
        return sum(tensor.numel() for tensor in self.tensors.values())

    def facts(self) -> dict[str, str]:
        return {}

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        """One epoch, the last; another call has nothing left to do."""
        if self.fitted:
            return
        found = LedoitWolf().fit(self._grey(train))
        self.tensors = {"mean": torch.from_numpy(found.location_), "precision": torch.from_numpy(found.precision_)}
        self.fitted = True
        prediction = self.predict(validation)
        normals = prediction.scores[validation.labels == 0]
        losses = {"train_loss": float(self.predict(train).scores.mean()), "validation_loss": float(normals.mean())}
        if (validation.labels == 1).any():
            losses["anomaly_loss"] = float(prediction.scores[validation.labels == 1].mean())
        yield Epoch(losses, prediction, last=True)

    def predict(self, samples: Samples) -> Prediction:
        """Anomaly scores (N,), higher is stranger."""
        mean, precision = (self.tensors[name].numpy() for name in ("mean", "precision"))
        away = self._grey(samples) - mean
        return Prediction(np.sqrt(np.einsum("nf,fg,ng->n", away, precision, away).clip(min=0)))

    def gallery(self, samples: Samples) -> list[Gallery]:
        return []

    def state(self) -> dict[str, Any]:
        return {"tensors": self.weights(), "fitted": self.fitted}

    def load(self, state: Mapping[str, Any]) -> None:
        self.load_weights(state["tensors"])
        self.fitted = state["fitted"]

    def weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.tensors.items()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.tensors = {name: tensor.clone() for name, tensor in weights.items()}

    def _grey(self, samples: Samples) -> NDArray[np.float64]:
        """(N, grid²): the mean darkness of each cell, in [0, 1]."""
        height, width, _ = self.problem.shape
        rows, columns = (np.linspace(0, side, self.config.grid + 1).astype(int)[:-1] for side in (height, width))
        dark = 1 - np.asarray(samples.pictures[np.arange(len(samples))]).mean(axis=3) / 255
        sums = np.add.reduceat(np.add.reduceat(dark**self.config.power, rows, axis=1), columns, axis=2)
        return sums.reshape(len(samples), -1) * self.config.grid**2 / (height * width)


def suggest(trial: Any) -> dict[str, Any]:
    """What a search varies: `trial` is an optuna.Trial that honours `fixed` and `space`."""
    return {
        "grid": trial.suggest_int("grid", 3, 12),
        "power": trial.suggest_float("power", 0.5, 2.0),
    }


def check(config: MahalanobisConfig, problem: Problem) -> list[str]:
    """Remarks to say before any work starts; InputError where this can't be built for these pictures."""
    if config.grid > min(problem.shape[:2]):
        raise InputError(f"grid is {config.grid}; it must be at most the pictures' shorter side, {problem.shape[:2]}.")
    return []


FAMILY = Family(
    name="mahalanobis",
    task="detection",
    config=MahalanobisConfig,
    build=Mahalanobis,
    check=check,
    suggest=suggest,
    seeded=False,
    single_epoch=True,
)


def false_alarms(judged: Detected) -> float | None:
    """FPR95: the share of normal pictures above the cut that finds 95 % of the anomalies; None without both."""
    if not judged.both:
        return None
    cut = np.quantile(judged.scores[judged.labels == 1], 0.05, method="lower")
    return float((judged.scores[judged.labels == 0] >= cut).mean())


METRIC = Metric(
    name="fpr95",
    label="FPR at 95 % TPR",
    task="detection",
    mode="min",
    meaning="share of normal pictures above the cut that finds 95 % of the anomalies",
    value=false_alarms,
)

STYLE = PlotStyle(
    name="bare",
    summary="one dark line over the whole picture: no axes, no margins",
    figsize=(4.0, 3.0),
    line=(("linewidth", 2.0), ("color", "#1a1a1a")),
    decorate=lambda axes, values: (axes.set_axis_off(), axes.set_position((0, 0, 1, 1)), axes.margins(0.02)),
)

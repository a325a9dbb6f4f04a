"""The formula of each threshold strategy, and the argument that it takes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.scoring.confusion_counts import Cuts, cuts, just_below

Floats = NDArray[np.float64]
Formula = Callable[[Floats, Floats, float], float]
"""(normal scores (n,), anomalous scores (m,), argument) -> the threshold."""


@dataclass(frozen=True)
class Rule:
    """What one strategy is: its formula over normal and anomalous scores, and the argument that it takes."""

    value: Formula
    meaning: str
    needs_anomalies: bool = False
    needs_normals: bool = True
    argument: str = ""
    """Its name; empty: it takes none."""
    low: float = -math.inf
    high: float = math.inf
    low_included: bool = True
    default: float | None = None
    """None: it must be given."""

    def allowed(self) -> str:
        """What the argument may be, in words."""
        parts = []
        if math.isfinite(self.low):
            parts.append(f"{'at least' if self.low_included else 'above'} {self.low:g}")
        if math.isfinite(self.high):
            parts.append(f"at most {self.high:g}")
        return f"{self.argument} must be a finite number{', ' if parts else ''}{' and '.join(parts)}"

    def accepts(self, value: float) -> bool:
        """Whether the argument may be `value`."""
        above = value >= self.low if self.low_included else value > self.low
        return math.isfinite(value) and above and value <= self.high


def _optimal(value: Callable[[Cuts], NDArray[np.generic]]) -> Formula:
    def fit(normal: Floats, anomalous: Floats, _: float) -> float:
        every = _cuts(normal, anomalous)
        return float(every.thresholds[every.best(value(every))])

    return fit


def _tpr_at_least(normal: Floats, anomalous: Floats, least: float) -> float:
    every = _cuts(normal, anomalous)
    # The rate only falls with the threshold, and is 1 at the lowest.
    return float(every.thresholds[np.flatnonzero(every.rates()["tpr"] >= least)[-1]])


def _of_anomalies(statistic: Callable[[Floats], float]) -> Formula:
    def fit(normal: Floats, anomalous: Floats, offset: float) -> float:
        value = float(statistic(anomalous)) + offset
        return just_below(value) if math.isfinite(value) else value

    return fit


def _youden(every: Cuts) -> NDArray[np.int64]:
    # (TPR − FPR) × anomalies × normals: in whole numbers equals are equal.
    gained: NDArray[np.int64] = every.hits * every.false_alarms[0] - every.false_alarms * every.hits[0]
    return gained


def _f1(every: Cuts) -> Floats:
    return every.rates()["f1"]


def _cuts(normal: Floats, anomalous: Floats) -> Cuts:
    return cuts(np.r_[normal, anomalous], np.repeat([0, 1], [len(normal), len(anomalous)]))


def _mean(values: Floats) -> float:
    # Rounding can put the mean of equal values beyond them, and the verdict on all of them with it.
    return float(np.clip(values.mean(), values.min(), values.max()))


RULES: dict[str, Rule] = {
    "percentile": Rule(
        lambda normal, anomalous, q: float(np.percentile(normal, q)),
        "the q-th percentile of normal scores, interpolated linearly",
        argument="q", low=0, high=100,
    ),
    "mean_std": Rule(
        lambda normal, anomalous, k: _mean(normal) + k * float(normal.std()),
        "mean + k × standard deviation (divided by n: 0 for one score) of normal scores",
        argument="k", low=0,
    ),
    "max_normal": Rule(lambda normal, anomalous, _: float(normal.max()), "the highest normal score"),
    "midpoint_of_means": Rule(
        lambda normal, anomalous, _: _mean(normal) / 2 + _mean(anomalous) / 2,
        "halfway between the mean normal and the mean anomalous score",
        needs_anomalies=True,
    ),
    "min_anomaly": Rule(
        _of_anomalies(np.min), "the lowest anomalous score + offset, which itself counts as an anomaly",
        needs_anomalies=True, needs_normals=False, argument="offset", default=0.0,
    ),
    "mean_anomaly": Rule(
        _of_anomalies(_mean), "the mean anomalous score + offset, which itself counts as an anomaly",
        needs_anomalies=True, needs_normals=False, argument="offset", default=0.0,
    ),
    "max_anomaly": Rule(
        _of_anomalies(np.max), "the highest anomalous score + offset, which itself counts as an anomaly",
        needs_anomalies=True, needs_normals=False, argument="offset", default=0.0,
    ),
    "youden": Rule(
        _optimal(_youden), "the cut with the highest TPR − FPR (Youden 1950)",
        needs_anomalies=True,
    ),
    "f1_optimal": Rule(_optimal(_f1), "the cut with the highest F1", needs_anomalies=True),
    "tpr_at_least": Rule(
        _tpr_at_least, "the highest cut above which a share t of anomalies lies, or more",
        needs_anomalies=True, needs_normals=False, argument="t", low=0, high=1, low_included=False,
    ),
}  # fmt: skip
"""`percentile`, `mean_std` and `max_normal` need normals alone. Cuts (`youden`, `f1_optimal`, `tpr_at_least`) lie
midway between neighbouring distinct scores; of equally good ones the highest is taken. The anomaly statistics are
seed 004's; they lie a float below their value, because only a score above a threshold is an anomaly."""


def written(name: str) -> str:
    """How to write a strategy, such as percentile(q)."""
    return f"{name}({RULES[name].argument})" if RULES[name].argument else name


def strategies_for(has_anomalies: bool, has_normals: bool = True) -> list[str]:
    """How to write each strategy that can be used."""
    return [
        written(name)
        for name, rule in RULES.items()
        if (has_anomalies or not rule.needs_anomalies) and (has_normals or not rule.needs_normals)
    ]

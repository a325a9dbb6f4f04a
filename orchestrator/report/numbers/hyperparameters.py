"""What the search tried, and how the objective went with it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from orchestrator.artifacts.records import TrialRecord
from orchestrator.report.numbers.frames import flat
from orchestrator.report.numbers.run_data import RunData

# Below this, a rank correlation says nothing worth printing.
FEWEST_TRIALS = 5
# Values whose largest is this many times the smallest are laid out by their logarithm.
LOG_RATIO = 30


@dataclass(frozen=True)
class Effect:
    """One searched hyperparameter of one variant, against the objective on validation."""

    variant: str
    parameter: str
    numeric: bool
    trials: tuple[int, ...]
    values: tuple[Any, ...]
    """Of the trials that reported the objective, in the order of trials."""
    objective: NDArray[np.float64]
    completed: NDArray[np.bool_]
    spearman: float | None
    """Rank correlation over completed trials; None for categories, few trials, or no variation."""
    best: Any
    """Its value in the best completed trial."""

    @property
    def logarithmic(self) -> bool:
        """Whether its values spread over decades: the median lies nearer the middle of their logarithms."""
        if not self.numeric:
            return False
        low, middle, high = min(self.values), float(np.median(self.values)), max(self.values)
        if low <= 0 or high / low < LOG_RATIO:
            return False
        linear = abs((middle - low) / (high - low) - 0.5)
        return bool(abs(math.log(middle / low) / math.log(high / low) - 0.5) < linear)


def effects(data: RunData, variant: str) -> list[Effect]:
    """The hyperparameters of a variant that took more than one value, the strongest correlation first."""
    trials = [one for one in data.search[variant] if math.isfinite(one.metrics.get(data.search_metric, math.nan))]
    configs = [flat(one.config) for one in trials]
    names = dict.fromkeys(name for config in configs for name in config)
    found = []
    for name in names:
        having = [(one, config[name]) for one, config in zip(trials, configs, strict=True) if name in config]
        if len({repr(value) for _, value in having}) > 1:
            found.append(_effect(data, variant, name, having))
    return sorted(found, key=lambda effect: -abs(effect.spearman or 0.0))


def _effect(data: RunData, variant: str, name: str, having: list[tuple[TrialRecord, Any]]) -> Effect:
    values = tuple(value for _, value in having)
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    numeric = numeric and all(math.isfinite(value) for value in values)
    objective = np.array([one.metrics[data.search_metric] for one, _ in having])
    completed = np.array([one.status == "completed" for one, _ in having])
    spearman = None
    if numeric and completed.sum() >= FEWEST_TRIALS:
        ours = np.array(values, dtype=np.float64)[completed]
        if np.ptp(ours) > 0 and np.ptp(objective[completed]) > 0:
            spearman = float(stats.spearmanr(ours, objective[completed]).statistic)
    best = data.best_trial(variant)
    chosen = flat(best.config).get(name) if best else None
    return Effect(
        variant, name, numeric, tuple(one.trial for one, _ in having), values, objective, completed, spearman, chosen
    )


def effect_frame(found: list[Effect]) -> pd.DataFrame:
    """A row a variant and hyperparameter: what was tried, its rank correlation, and the best trial's value."""
    return pd.DataFrame(
        [
            [
                one.variant,
                one.parameter,
                min(one.values) if one.numeric else None,
                max(one.values) if one.numeric else None,
                None if one.numeric else " | ".join(sorted({str(value) for value in one.values})),
                len(one.values),
                int(one.completed.sum()),
                one.spearman,
                one.best,
            ]
            for one in found
        ],
        columns=["variant", "parameter", "low", "high", "choices", "trials", "completed", "spearman", "best"],
    )

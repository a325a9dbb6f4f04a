"""How much each searched hyperparameter decided whether a trial was among the best, by Optuna's PED-ANOVA."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import (
    label,
    number,
    on_validation,
    plural,
    printable,
    sentence,
    shorten,
    words,
)
from orchestrator.report.figures.svg import BLUE, chart, panel
from orchestrator.report.numbers.hyperparameters import Effect
from orchestrator.report.numbers.run_data import RunData
from trainables.interface import Mode

FEWEST_TRIALS = 20
"""Completed ones. Below that, the best are too few to have a distribution."""
FEWEST_BEST = 5
"""Trials that count as the best, at least: what Optuna's documentation asks for."""
SHARE_OF_BEST = 0.1
MOST_BARS = 10


@dataclass(frozen=True)
class Importance:
    """The hyperparameters of one variant's search."""

    variant: str
    shares: dict[str, float]
    """By hyperparameter, the greatest first; they sum to 1, or are all 0 where nothing tells the best apart."""
    completed: int
    best: int
    """How many of the completed trials count as the best."""
    left_out: tuple[str, ...]
    """Hyperparameters that not every completed trial has."""


def importance(variant: str, found: Sequence[Effect], mode: Mode) -> Importance | None:
    """PED-ANOVA (Watanabe, Bansal and Hutter 2023) over the completed trials; None below `FEWEST_TRIALS` of them,
    where none are better than the others, and where no hyperparameter varied in all of them.

    `found`: the variant's hyperparameters that took more than one value. The best are the first tenth of the trials by
    the objective, five at least. Search spaces are inferred from the values: categories where one is no number, a
    logarithmic scale where values spread over decades. Of records alone, and the same each time.
    """
    trials = {one.parameter: {one.trials[row] for row in np.flatnonzero(one.completed)} for one in found}
    every: set[int] = set().union(*trials.values())
    completed = len(every)
    if completed < FEWEST_TRIALS:
        return None
    shared = [one for one in found if trials[one.parameter] == every and _varied(one)]
    left_out = tuple(one.parameter for one in found if trials[one.parameter] != every)
    if not shared:
        return None
    quantile = max(SHARE_OF_BEST, FEWEST_BEST / completed)
    best = _best(shared[0], mode, math.ceil(quantile * completed))
    if best == completed:
        return None
    shares = _ped_anova(shared, mode, quantile)
    return Importance(variant, dict(sorted(shares.items(), key=lambda one: -one[1])), completed, best, left_out)


def _varied(effect: Effect) -> bool:
    return len({repr(effect.values[row]) for row in np.flatnonzero(effect.completed)}) > 1


def _best(effect: Effect, mode: Mode, rank: int) -> int:
    """How many completed trials are as good as the one of this rank, from 1."""
    objective = np.sort(effect.objective[effect.completed] * (-1 if mode == "max" else 1))
    return int((objective <= objective[rank - 1]).sum())


def _ped_anova(found: Sequence[Effect], mode: Mode, quantile: float) -> dict[str, float]:
    """By hyperparameter; of each, only completed trials are used, which are the same ones for all."""
    # Optuna takes a quarter of a second to import, and few reports need it.
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    spaces = {one.parameter: _space(one) for one in found}
    rows = np.flatnonzero(found[0].completed)
    with _quiet():
        study = optuna.create_study(direction="maximize" if mode == "max" else "minimize")
        values = {one.parameter: _completed_values(one) for one in found}
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={name: chosen[place] for name, chosen in values.items()},
                    distributions=spaces,
                    value=float(found[0].objective[row]),
                )
                for place, row in enumerate(rows)
            ]
        )
        shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=quantile))
    return {name: float(share) if math.isfinite(share) else 0.0 for name, share in shares.items()}


def _completed_values(effect: Effect) -> list[Any]:
    chosen = [effect.values[row] for row in np.flatnonzero(effect.completed)]
    if not effect.numeric:
        return [repr(value) for value in chosen]
    return chosen if _whole(effect) else [float(value) for value in chosen]


def _whole(effect: Effect) -> bool:
    return all(isinstance(value, int) for value in effect.values)


def _space(effect: Effect) -> Any:
    """The distribution that Optuna would have drawn it from, inferred."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not effect.numeric:
        return CategoricalDistribution(sorted({repr(value) for value in effect.values}))
    low, high = min(effect.values), max(effect.values)
    if _whole(effect):
        return IntDistribution(int(low), int(high), log=effect.logarithmic)
    return FloatDistribution(float(low), float(high), log=effect.logarithmic)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna says on the terminal that a study was made."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def importance_frame(found: Sequence[Importance]) -> pd.DataFrame:
    """A row a variant and hyperparameter."""
    rows = [[one.variant, name, share, one.completed, one.best] for one in found for name, share in one.shares.items()]
    return pd.DataFrame(rows, columns=["variant", "parameter", "importance", "completed", "best_trials"])


def importance_chart(data: RunData, found: Importance, key: str) -> Chart:
    """A bar for each hyperparameter, the most important on top."""
    shown = dict(list(found.shares.items())[:MOST_BARS])
    figure, axes = panel(taller=max(-0.6, 0.2 * (len(shown) - 8)))
    figure.subplots_adjust(left=0.36, bottom=0.41 / figure.get_figheight())
    places = range(len(shown))
    axes.barh(places, list(shown.values()), color=BLUE, height=0.62)
    axes.set_yticks(places, [shorten(printable(name), 20) for name in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.12 * max(*shown.values(), 1e-9))
    for place, share in zip(places, shown.values(), strict=True):
        axes.annotate(
            number(share, 2), (share, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7.5
        )
    axes.set_xlabel("importance (share)")
    cut = f" The first {len(shown)} of {len(found.shares)} are drawn." if len(shown) < len(found.shares) else ""
    partly = f" Left out, since not every trial has them: {words([printable(one) for one in found.left_out])}."
    few = " With so few of the best, the order may turn with a few more trials." if found.best < 10 else ""
    first, share = next(iter(shown.items()))
    return chart(
        figure,
        key,
        ("importance", found.variant),
        f"{printable(found.variant)}: importance of hyperparameters",
        f"How far the best {found.best} of {plural(found.completed, 'completed trial')}, by "
        f"{on_validation(data.search_metric)}, lie elsewhere than all of them do (PED-ANOVA; shares sum to 1).{few} It "
        f"describes this search, and proves no cause.{cut}{partly if found.left_out else ''}",
        f"{sentence(printable(first))} mattered most to {label(data.search_metric)} of {printable(found.variant)}: "
        f"{number(share, 2)} of the importance.",
    )

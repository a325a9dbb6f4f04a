"""Threshold strategies: from validation scores to the value that an anomaly's score is ABOVE, and which one to take."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.scoring.confusion_counts import RATES, check_detection, check_threshold, cuts, verdict_rates
from orchestrator.scoring.strategy_rules import RULES, Floats, strategies_for
from trainables.errors import InputError

ThresholdMetric = Literal["balanced_accuracy", "f1"]
"""By which strategies can be compared."""
DEFAULT_STRATEGIES: tuple[str, ...] = (
    "percentile(95)",
    "percentile(99)",
    "mean_std(2)",
    "mean_std(3)",
    "max_normal",
    "midpoint_of_means",
    "min_anomaly",
    "mean_anomaly",
    "max_anomaly",
    "youden",
    "f1_optimal",
    "tpr_at_least(0.95)",
)
"""What is compared where an experiment names none. The first is taken where validation holds normals only."""

FOLDS = 5
REPEATS = 5


@dataclass(frozen=True)
class Strategy:
    """A function of validation scores and labels that gives a threshold."""

    name: str
    argument: float | None = None
    """None: it takes none, or its default."""

    @property
    def text(self) -> str:
        """As an experiment file says it: percentile(95)."""
        return self.name if self.argument is None else f"{self.name}({repr(self.argument).removesuffix('.0')})"

    @property
    def needs_anomalies(self) -> bool:
        """Whether validation must hold anomalies."""
        return RULES[self.name].needs_anomalies

    def fit(self, scores: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
        """The finite threshold of scores (N,) with labels (N,), 0 normal and 1 anomalous.

        Raises InputError where the strategy needs anomalies or normals and there are none, ValueError for scores that
        are not finite, or so large that the threshold would not be.
        """
        scores, labels = check_detection(scores, labels)
        return self._value(scores[labels == 0], scores[labels == 1])

    def _value(self, normal: Floats, anomalous: Floats) -> float:
        rule = RULES[self.name]
        lacking = "normals" if rule.needs_normals and not len(normal) else ""
        lacking = "anomalies" if rule.needs_anomalies and not len(anomalous) else lacking
        if lacking:
            raise InputError(
                f"Threshold strategy {self.text} needs the scores of {lacking}, and validation holds none. Use one of: "
                f"{', '.join(strategies_for(len(anomalous) > 0, len(normal) > 0))}."
            )
        argument = self.argument if self.argument is not None else rule.default
        with np.errstate(over="ignore", invalid="ignore"):
            value = rule.value(normal, anomalous, 0.0 if argument is None else argument)
        if not math.isfinite(value):
            raise ValueError(f"Threshold strategy {self.text} gives {value}: the scores are too large to compute with.")
        return value


def parse_strategy(text: str) -> Strategy:
    """The strategy that an experiment file names, such as percentile(95); InputError for any other text."""
    found = re.fullmatch(r"\s*([^\s()]+)\s*(?:\((.*)\))?\s*", text)
    name = found[1] if found else text
    every = f"Strategies: {', '.join(strategies_for(has_anomalies=True))}."
    if found is None or name not in RULES:
        near = get_close_matches(name, RULES, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise InputError(f"Threshold strategy {text!r} is not known.{hint} {every}")
    rule, given = RULES[name], (found[2] or "").strip()
    if not rule.argument:
        if found[2] is not None:
            raise InputError(f"Threshold strategy {text!r}: {name} takes no argument. Write {name}.")
        return Strategy(name)
    if not given:
        if rule.default is not None and found[2] is None:
            return Strategy(name)
        raise InputError(
            f"Threshold strategy {text!r} lacks its argument: {rule.allowed()}. Write {name}({rule.argument})."
        )
    try:
        value = float(given)
    except ValueError:
        raise InputError(f"Threshold strategy {text!r}: {rule.allowed()}; got {given!r}.") from None
    if not rule.accepts(value):
        raise InputError(f"Threshold strategy {text!r}: {rule.allowed()}; got {given}.")
    return Strategy(name, value)


def usable(strategies: Sequence[str], has_anomalies: bool) -> list[Strategy]:
    """Those that validation allows, in their order: without anomalies, those that need some are dropped."""
    parsed = [parse_strategy(text) for text in strategies]
    return [strategy for strategy in parsed if has_anomalies or not strategy.needs_anomalies]


@dataclass(frozen=True)
class Choice:
    """The threshold strategy that was best on validation, fitted to all of it."""

    strategy: str
    value: float
    """The threshold."""
    metrics: dict[str, float]
    """At this threshold on all of validation, those that are defined. They flatter a strategy that fits labels."""
    compared: dict[str, float] = field(default_factory=dict)
    """The cross-fitted metric of each strategy; empty where validation holds normals only, and none can choose."""
    folds: int = 0
    """Of the cross-fitting; 0: too few anomalies, so that each strategy was judged on what it was fitted to."""


def choose(
    scores: NDArray[np.floating],
    labels: NDArray[np.int64],
    strategies: Sequence[str] = DEFAULT_STRATEGIES,
    metric: ThresholdMetric = "balanced_accuracy",
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> Choice:
    """The best of `strategies` by `metric` on validation scores (N,) with labels (N,), the first of equals.

    Strategies are compared by stratified K-fold cross-fitting, so that one that fits labels gains nothing from judging
    itself: each score is judged at a threshold fitted without its fold, the metric is taken over all scores together,
    and averaged over REPEATS divisions into folds. K is FOLDS, or as many as there are anomalies or normals. `groups`
    (N,), the source picture of each, keeps patches of one picture in one fold. With a single anomaly, or where folds
    would leave nothing to fit to, strategies are judged on what they are fitted to. With normals only no metric can
    choose, and the first that can be used is taken. Deterministic by `seed`.
    Raises InputError where none can be used, ValueError for bad scores, no normals, or a metric without threshold.
    """
    scores, labels = check_detection(scores, labels)
    if metric not in RATES:
        raise ValueError(f"A threshold is chosen by one of {', '.join(RATES)}; got {metric!r}.")
    if labels.all():
        raise ValueError("A threshold needs the scores of normals, and validation holds anomalies only.")
    fitting = usable(strategies, bool(labels.any()))
    if not fitting:
        raise InputError(
            f"Threshold strategies {', '.join(strategies) or '(none)'}: none can be used, because validation holds "
            f"{'no strategy to try' if not strategies else 'normals only'}. "
            f"Add one of: {', '.join(strategies_for(bool(labels.any())))}."
        )
    winner, compared, folds = fitting[0], dict[str, float](), 0
    if labels.any():
        divisions = _divisions(scores, labels, groups, seed)
        folds = divisions[0].folds if divisions else 0
        compared = {one.text: _judged(one, scores, labels, metric, divisions) for one in fitting}
        winner = max(fitting, key=lambda one: compared[one.text])
    value = winner._value(scores[labels == 0], scores[labels == 1])
    return Choice(winner.text, value, verdict_rates(scores > value, labels), compared, folds)


def folds_of(labels: NDArray[np.int64], groups: NDArray[np.int64] | None = None) -> int:
    """Into how many folds `choose` deals samples of these labels and groups (N,); 0: cross-fitting is not possible."""
    divisions = _divisions(np.zeros(len(labels)), np.asarray(labels), groups, 0)
    return divisions[0].folds if divisions else 0


def held_out(
    strategy: str,
    scores: NDArray[np.floating],
    labels: NDArray[np.int64],
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> list[Floats]:
    """How far each score (N,) lies above the strategy's threshold that was fitted without its fold: a list of (N,), one
    a division into folds, as `choose` divides. Above 0 is called an anomaly. Empty where cross-fitting is not possible.
    """
    scores, labels = check_detection(scores, labels)
    fitting = parse_strategy(strategy)
    return [scores - division.limits(fitting) for division in _divisions(scores, labels, groups, seed)]


@dataclass(frozen=True)
class _Division:
    """One way to deal validation into K folds."""

    fold: NDArray[np.int64]
    """(N,): the fold of each score."""
    rest: list[tuple[Floats, Floats]]
    """By fold, what is fitted to when it is judged: the normal and the anomalous scores outside it."""

    @property
    def folds(self) -> int:
        """K."""
        return len(self.rest)

    def limits(self, strategy: Strategy) -> Floats:
        """(N,): the strategy's threshold for each score, fitted to the scores outside its fold."""
        values = np.array([strategy._value(normal, anomalous) for normal, anomalous in self.rest])
        return np.asarray(values[self.fold])


def _divisions(
    scores: Floats, labels: NDArray[np.int64], groups: NDArray[np.int64] | None, seed: int
) -> list[_Division]:
    """Up to REPEATS divisions into folds, each of which leaves both classes to fit to."""
    _, groups = np.unique(np.arange(len(labels)) if groups is None else groups, return_inverse=True)
    anomalous, normal = (np.bincount(groups, labels == label) > 0 for label in (1, 0))
    folds = min(FOLDS, int(anomalous.sum()), int(normal.sum()))
    if folds < 2:
        return []
    generator, found = np.random.default_rng(seed), []
    for _ in range(REPEATS):
        shuffled = generator.permutation(len(anomalous))
        dealt = np.empty(len(anomalous), dtype=np.int64)
        dealt[np.r_[shuffled[anomalous[shuffled]], shuffled[~anomalous[shuffled]]]] = np.arange(len(anomalous)) % folds
        fold = dealt[groups]
        rest = [tuple(scores[(fold != held) & (labels == label)] for label in (0, 1)) for held in range(folds)]
        if all(len(part) for parts in rest for part in parts):
            found.append(_Division(fold, [(normals, anomalies) for normals, anomalies in rest]))
    return found


def _judged(
    strategy: Strategy, scores: Floats, labels: NDArray[np.int64], metric: str, divisions: Sequence[_Division]
) -> float:
    """The metric of the strategy's verdicts, each score judged by the others' threshold; without divisions by all's."""
    if not divisions:
        return verdict_rates(scores > strategy._value(scores[labels == 0], scores[labels == 1]), labels)[metric]
    values = []
    for division in divisions:
        values.append(verdict_rates(scores > division.limits(strategy), labels)[metric])
    # Exactly rounded whatever the order, so that equals are equal.
    return math.fsum(values) / len(values)


def at_threshold(scores: NDArray[np.floating], labels: NDArray[np.int64], threshold: float) -> dict[str, float]:
    """TPR, TNR, F1 and balanced accuracy of scores (N,) at a threshold; undefined ones are left out (see `rates`)."""
    scores, labels = check_detection(scores, labels)
    check_threshold(threshold)
    return verdict_rates(scores > threshold, labels)


def best_possible(
    scores: NDArray[np.floating], labels: NDArray[np.int64], metric: ThresholdMetric = "balanced_accuracy"
) -> tuple[float, float]:
    """The most that `metric` can be over all thresholds, and the highest threshold that gives it.

    On test scores this is an upper bound that nobody can reach, since it is chosen by the labels that it is judged
    on. Raises ValueError where the metric is undefined or needs no threshold.
    """
    every = cuts(*check_detection(scores, labels))
    found = every.rates()
    if metric not in found:
        raise ValueError(f"No threshold of these scores has a {metric}: there are {', '.join(found)}.")
    row = every.best(found[metric])
    return float(found[metric][row]), float(every.thresholds[row])

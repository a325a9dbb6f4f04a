"""How trials are judged: at a threshold cross-fitted where one chooses them, and as before in runs begun before."""

import math
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.scoring.judge import Judge
from orchestrator.scoring.judged import Detected
from orchestrator.scoring.metric_table import METRICS, Metric
from orchestrator.scoring.thresholds import at_threshold, choose, folds_of, held_out
from trainables.interface import Prediction, Samples

STRATEGIES = ("youden", "max_normal", "percentile(95)")
THRESHOLDED = ("balanced_accuracy", "f1", "tpr", "tnr")


def validation(normals: int = 60, anomalies: int = 20, skill: float = 1.0, seed: int = 0, group: int = 1) -> tuple[
    Prediction, Samples
]:  # fmt: skip
    """Scores, and the samples they are of, `group` patches of each source picture."""
    labels = np.repeat([0, 1], [normals, anomalies]).astype(np.int64)
    count = len(labels)
    samples = Samples(
        np.zeros((count, 2, 2, 3), np.uint8), labels, ("normal", "anomaly"), tuple(map(str, range(count))),
        groups=tuple(str(row // group) for row in range(count)),
    )  # fmt: skip
    return Prediction(np.random.default_rng(seed).normal(labels * skill)), samples


def judge(**changes: object) -> Judge:
    return replace(Judge("detection", STRATEGIES, cross_fit=True), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("strategy", [None, "percentile(95)"])
@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1"])
def test_the_objective_is_the_value_by_which_strategies_are_compared(metric: str, strategy: str | None) -> None:
    prediction, samples = validation()
    groups = np.unique(samples.groups, return_inverse=True)[1]
    strategies = (strategy,) if strategy else STRATEGIES
    chosen = choose(prediction.scores, samples.labels, strategies, metric, groups=groups)  # type: ignore[arg-type]
    found = judge(metric=metric)(prediction, samples, strategy)
    assert found[metric] == chosen.compared[chosen.strategy]
    assert found["balanced_accuracy"] == pytest.approx((found["tpr"] + found["tnr"]) / 2)


def test_what_needs_no_threshold_is_as_it_was_and_so_is_a_run_begun_before() -> None:
    prediction, samples = validation()
    crossed, before = judge()(prediction, samples), judge(cross_fit=False)(prediction, samples)
    line = judge().threshold(prediction.scores, samples)
    assert line is not None
    assert line.folds == 5
    assert list(crossed) == list(before)
    assert {name for name in before if crossed[name] != before[name]} <= set(THRESHOLDED)
    assert crossed["balanced_accuracy"] < before["balanced_accuracy"]
    assert {name: before[name] for name in THRESHOLDED} == at_threshold(prediction.scores, samples.labels, line.value)


def test_noise_is_worth_no_more_than_chance_only_where_it_is_cross_fitted() -> None:
    values: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(30):
        prediction, samples = validation(40, 40, skill=0.0, seed=seed)
        for crossed, found in values.items():
            found.append(judge(strategies=("youden",), cross_fit=crossed)(prediction, samples)["balanced_accuracy"])
    assert np.mean(values[False]) > 0.56
    assert np.mean(values[True]) < 0.53


@pytest.mark.parametrize(("anomalies", "group", "folds"), [(1, 1, 0), (4, 4, 0), (2, 1, 2), (8, 4, 2), (20, 1, 5)])
def test_anomalies_of_one_picture_leave_none_to_judge_by(anomalies: int, group: int, folds: int) -> None:
    prediction, samples = validation(60, anomalies, group=group)
    numbers = np.unique(samples.groups, return_inverse=True)[1]
    assert judge().folds(samples) == folds == folds_of(samples.labels, numbers)
    assert judge(cross_fit=False).folds(samples) == 0
    line = judge().threshold(prediction.scores, samples)
    assert line is not None
    assert line.folds == folds
    if not folds:
        assert judge()(prediction, samples) == judge(cross_fit=False)(prediction, samples)
        assert held_out("youden", prediction.scores, samples.labels, groups=numbers) == []


def test_normals_alone_compare_no_strategies() -> None:
    prediction, samples = validation(60, 0)
    line = judge().threshold(prediction.scores, samples)
    assert line is not None
    assert (line.strategy, line.folds) == ("max_normal", None)
    assert judge()(prediction, samples) == judge(cross_fit=False)(prediction, samples)


def caught(one: Detected) -> float | None:
    return None if one.threshold is None else float((one.scores[one.labels == 1] > one.threshold).mean())


def no_alarm(one: Detected) -> float | None:
    return None if one.threshold is None or (one.scores[one.labels == 0] > one.threshold).any() else 1.0


def test_metrics_of_ones_own_at_a_threshold_are_cross_fitted_too() -> None:
    prediction, samples = validation()
    rows = [
        Metric(name, name, "detection", "max", "", value, needs="threshold")
        for name, value in (("caught", caught), ("no_alarm", no_alarm))
    ]
    found = judge(own=tuple(rows), strategies=("max_normal",))(prediction, samples)
    assert found["caught"] == found["tpr"]
    assert "no_alarm" in judge(own=tuple(rows), strategies=("max_normal",), cross_fit=False)(prediction, samples)
    assert "no_alarm" not in found, "some division leaves it undefined"
    assert all(math.isfinite(value) for value in found.values())
    assert found.keys() >= {name for name, row in METRICS.items() if row.thresholded}

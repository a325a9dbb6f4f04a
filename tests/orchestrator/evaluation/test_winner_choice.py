"""The default configuration is kept unless the best trial leads it by more than chance, and what is said of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.provenance import PROVENANCE

from orchestrator.artifacts.choices import Choice
from orchestrator.artifacts.endings import Status
from orchestrator.artifacts.records import TrialRecord
from orchestrator.evaluation.winner_choice import choose
from orchestrator.experiment.goal import Goal
from orchestrator.scoring.metric_table import Metric
from orchestrator.scoring.metrics import grade
from trainables.errors import InputError
from trainables.interface import Prediction, Samples
from trainables.speed import Limits, Speed

ROC = Goal("detection", "normal", "roc_auc", "max", "roc_auc", ("youden",), True)
LABELS = np.repeat([0, 1], [120, 60])


def samples(labels: np.ndarray = LABELS, classes: tuple[str, ...] = ("normal", "anomaly"), each: int = 1) -> Samples:
    """Pictures without content, `each` so many of one source."""
    paths = tuple(f"{number}.png" for number in range(len(labels)))
    groups = tuple(f"{number // each}" for number in range(len(labels)))
    pictures = np.zeros((len(labels), 2, 2, 3), np.uint8)
    return Samples(pictures=pictures, labels=labels, classes=classes, paths=paths, groups=groups)


def trial(number: int, value: float | None, metric: str = "roc_auc", status: Status = "completed") -> TrialRecord:
    told: dict[str, Any] = {
        "stage": "search", "family": "pca", "variant": "pca", "trial": number, "seed": 0, "split": "validation",
        "config": {}, "metrics": {} if value is None else {metric: value}, "status": status, "seconds": 1.0,
        "threshold": {"strategy": "youden", "value": 0.5}, "provenance": PROVENANCE,
    }  # fmt: skip
    return TrialRecord.model_validate(told)


def search(better: float, trials: int = 5, metric: str = "roc_auc", seed: int = 0) -> tuple[list[Any], dict[int, Any]]:
    """Trials with noise of their own, of which the last sees anomalies `better`, and their scores."""
    random = np.random.default_rng(seed)
    seen = LABELS + random.normal(0, 1, len(LABELS))
    scores = {number: seen + random.normal(0, 0.7, len(LABELS)) for number in range(trials)}
    scores[trials - 1] = scores[trials - 1] + better * LABELS
    graded = {
        number: grade(Prediction(one), LABELS, ("normal", "anomaly"), "detection", threshold=0.5, own=(OWN,))
        for number, one in scores.items()
    }
    return [trial(number, one[metric], metric) for number, one in graded.items()], scores


OWN = Metric(
    "apart", "apart", "detection", "max", "how far the means lie apart",
    lambda one: float(one.scores[one.labels == 1].mean() - one.scores[one.labels == 0].mean()),
)  # fmt: skip


def test_a_lead_beyond_chance_is_taken_and_one_within_it_is_not() -> None:
    found = choose(*search(2.0), samples(), ROC)
    assert (found.chosen, found.best, found.compared, found.sources) == (4, 4, 4, 180)
    assert not found.default_stayed
    assert found.p is not None
    assert found.p < 0.001
    assert found.told("ROC-AUC").endswith(
        "; p < 0.001 as the largest of 4 leads, 180 source pictures), more than chance explains: the best was taken"
    )
    near = choose(*search(0.0), samples(), ROC)
    assert near.best != 0
    assert near.lead is not None
    assert near.lead > 0
    assert near.chosen == 0
    assert near.default_stayed
    assert near.told("ROC-AUC").endswith("which chance may explain: the default was kept")


@pytest.mark.parametrize(("metric", "own"), [("balanced_accuracy", ()), ("average_precision", ()), ("apart", (OWN,))])
def test_any_metric_of_whole_pictures_can_choose(metric: str, own: tuple[Metric, ...]) -> None:
    goal = Goal("detection", "normal", metric, "max", metric, ("youden",), True, own)
    assert choose(*search(2.0, metric=metric), samples(), goal).chosen == 4
    kept = choose(*search(0.0, metric=metric), samples(), goal)
    assert kept.chosen == 0
    assert kept.p is None or kept.p >= 0.05


def test_classifiers_are_compared_by_their_probabilities() -> None:
    random = np.random.default_rng(1)
    labels, classes = np.repeat([0, 1, 2], 40), ("a", "b", "c")
    scores = {}
    for number, skill in enumerate((1.0, 1.0, 3.0)):
        raised = np.exp(skill * np.eye(3)[labels] + random.normal(0, 1, (120, 3)))
        scores[number] = raised / raised.sum(axis=1, keepdims=True)
    for metric, mode in (("macro_f1", "max"), ("log_loss", "min")):
        goal = Goal("classification", None, metric, mode, metric, (), False)  # type: ignore[arg-type]
        told = [
            trial(number, grade(Prediction(one), labels, classes, "classification")[metric], metric)
            for number, one in scores.items()
        ]
        assert choose(told, scores, samples(labels, classes), goal).chosen == 2
        without = choose(told[:2], scores, samples(labels, classes), goal)
        assert without.chosen == 0


@pytest.mark.parametrize(
    ("change", "chosen", "why"),
    [
        ({"default": None, "status": "out-of-memory"}, 4, "the default has no figure: out-of-memory"),
        ({"default": 0.6, "status": "timed-out"}, 0, "the default did not train to its end: timed-out"),
        ({"lost": 2}, 0, "the validation scores of trial 2 are not there"),
        ({"lost": 0}, 0, "the validation scores of trial 0 are not there"),
        ({"each": 30}, 0, "come from 6 source pictures, too few"),
    ],
)
def test_without_a_test_the_default_stays_if_it_has_a_figure(change: dict[str, Any], chosen: int, why: str) -> None:
    trials, scores = search(2.0)
    if "status" in change:
        trials[0] = trial(0, change["default"], status=change["status"])
    scores.pop(change.get("lost"), None)
    found = choose(trials, scores, samples(each=change.get("each", 1)), ROC)
    assert (found.chosen, found.best, found.p) == (chosen, 4, None)
    assert why in found.why
    assert found.why in found.told("ROC-AUC")
    assert ("was kept" in found.told("ROC-AUC")) == (chosen == 0)


def test_pruned_trials_are_not_among_those_that_the_best_is_the_best_of() -> None:
    trials, scores = search(2.0)
    trials[1] = trial(1, 0.99, status="pruned")
    del scores[1]
    found = choose(trials, scores, samples(), ROC)
    assert (found.chosen, found.compared) == (4, 3)


def test_in_whatever_order_trials_ended_the_same_is_chosen_and_of_equals_the_first() -> None:
    trials, scores = search(2.0)
    scores[2] = scores[4] * 3 + 1  # as good, and another trial
    trials[2] = trial(2, trials[4].metrics["roc_auc"])
    scores[4] = scores[4] + np.random.default_rng(5).normal(0, 1e-9, len(LABELS))
    found = choose(trials, scores, samples(), ROC)
    assert found.best == 2
    assert choose(trials[::-1], scores, samples(), ROC) == found


def test_a_default_that_is_the_best_is_taken_and_alone_too() -> None:
    trials, scores = search(2.0)
    found = choose([*trials[:-1], trial(4, 0.1)][:1], scores, samples(), ROC)
    assert (found.chosen, found.best, found.compared, found.default_stayed) == (0, 0, 0, False)
    assert found.told("ROC-AUC") == "the default configuration, trial 0, is the best of all on validation and was taken"


def test_a_choice_is_read_as_it_was_written_and_a_broken_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pca.choice.json"
    assert Choice.load(path) is None
    found = choose(*search(2.0), samples(), ROC)
    found.save(path)
    assert Choice.load(path) == found
    path.write_text("{}")
    with pytest.raises(InputError, match=r"does not say which trial was chosen.*Remove it"):
        Choice.load(path)


def paced(trials: list[Any], *latencies: float) -> list[TrialRecord]:
    """The trials, each with what it takes."""
    return [
        one.model_copy(update={"speed": Speed(latency_ms=latency, memory=1, device="it", threads=1)})
        for one, latency in zip(trials, latencies, strict=True)
    ]


def test_what_is_beyond_the_limits_is_neither_the_best_nor_the_default() -> None:
    limited = replace(ROC, limits=Limits(latency_ms=20))
    trials, scores = search(2.0)
    assert choose(paced(trials, 1, 1, 1, 1, 1), scores, samples(), limited) == choose(trials, scores, samples(), ROC)
    without_best = choose(paced(trials, 1, 1, 1, 1, 30), scores, samples(), limited)
    assert without_best.best != 4
    assert without_best.compared == 3
    without_default = choose(paced(trials, 30, 1, 1, 1, 1), scores, samples(), limited)
    assert (without_default.chosen, without_default.p) == (4, None)
    assert without_default.why == (
        "the default is beyond objective.constraints: latency 30 ms, 50 % beyond the 20 ms allowed"
    )
    with pytest.raises(ValueError, match="no trial has roc_auc"):
        choose(paced(trials, 30, 30, 30, 30, 30), scores, samples(), limited)

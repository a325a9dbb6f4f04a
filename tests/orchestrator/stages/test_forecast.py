"""How long a sweep will take is said once, by what has ended, and only where it is long."""

from typing import Any

from builders.provenance import PROVENANCE

from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.experiment import Experiment
from orchestrator.stages.forecast import Forecast


def experiment(**budget: Any) -> Experiment:
    given = {"data": {"path": "x"}, "families": ["pca", "patch_knn"], "seeds": [0, 1, 2, 3, 4]}
    return Experiment.from_mapping({**given, "budget": {"trials": 1, **budget}})


def ended(variant: str, seconds: float, **changes: Any) -> TrialRecord:
    values: dict[str, Any] = {
        "stage": "search", "family": variant, "variant": variant, "trial": 0, "seed": 0, "split": "validation",
        "config": {}, "status": "completed", "seconds": seconds, "provenance": PROVENANCE,
    }  # fmt: skip
    return TrialRecord.model_validate({**values, **changes})


def test_it_is_said_as_soon_as_it_is_known_and_once() -> None:
    said: list[str] = []
    forecast = Forecast(experiment(), [], 2, said.append)
    forecast.add(ended("pca", 60))
    assert said == [], "of the dear one nothing is known, and the cheap one is short"
    forecast.add(ended("patch_knn", 300))
    (line,) = said
    assert line.startswith("About 13 min of work are left, of which patch_knn takes 12 min.")
    assert "seeds=[0, 1] or data.size=…" in line
    assert "budget.trials" not in line
    forecast.add(ended("pca", 60, stage="evaluation", split="test"))
    assert len(said) == 1


def test_what_nothing_is_known_of_is_named() -> None:
    said: list[str] = []
    Forecast(experiment(trials=20), [], 1, said.append).add(ended("pca", 60))
    # 19 trials and one cell, since PCA has no randomness.
    assert said[0].startswith("About 20 min of work are left, and what patch_knn will take.")
    assert "budget.trials=… or seeds" in said[0]


def test_short_work_and_a_search_that_ends_by_the_clock_are_not_forecast() -> None:
    said: list[str] = []
    short = Forecast(experiment(), [ended("pca", 1), ended("patch_knn", 20)], 1, said.append)
    short.tell()
    Forecast(experiment(trials=100, minutes=5), [], 1, said.append).add(ended("pca", 60))
    assert said == []


def test_what_an_earlier_call_did_counts() -> None:
    said: list[str] = []
    done = [ended("patch_knn", 300, stage="evaluation", split="test", seed=seed) for seed in range(4)]
    Forecast(experiment(), [ended("pca", 10), ended("patch_knn", 300), *done], 1, said.append).tell()
    assert said == [], "one of pca and one of patch_knn"


def test_splits_to_come_count_with_what_they_have_already() -> None:
    said: list[str] = []
    several = experiment(trials=2)
    first, done = ended("patch_knn", 100), ended("patch_knn", 100, stage="evaluation", split="test")
    # Of patch_knn one trial and five cells here, and on the later split one trial and four cells: 11 of 100 s.
    Forecast(several, [], 1, said.append, [[first, done]]).add(first)
    assert said[0].startswith("About 18 min of work are left, and what pca will take.")
    assert "budget.searches=first" in said[0]
    inherited = experiment(trials=2, searches="first")
    Forecast(inherited, [], 1, said.append, [[done]]).add(first)
    # No trial is to come on the later split.
    assert said[1].startswith("About 17 min of work are left")
    assert "budget.searches" not in said[1]

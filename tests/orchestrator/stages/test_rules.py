"""What a run keeps as it was begun: the seed of its trials, and how they are judged."""

from typing import Any

import pytest
from builders.provenance import PROVENANCE

from orchestrator.artifacts.records import Stage, TrialRecord
from orchestrator.experiment.experiment import FIRST_TRIAL_SEED, Experiment
from orchestrator.stages.rules import Rules, rules_of


def experiment(*seeds: int) -> Experiment:
    return Experiment.from_mapping({"data": {"path": "x"}, "families": ["pca"], "seeds": list(seeds)})


def record(stage: Stage, seed: int, **more: Any) -> TrialRecord:
    values: dict[str, Any] = {
        "family": "pca", "variant": "pca", "trial": 0, "split": "validation", "config": {}, "status": "completed",
        "seconds": 1.0, "provenance": PROVENANCE,
    }  # fmt: skip
    return TrialRecord(stage=stage, seed=seed, **values | more)


@pytest.mark.parametrize(
    ("seeds", "trained"),
    [((0, 1, 2), 1000), ((1000,), 1001), ((1001, 1000, 1002), 1003), ((1001,), 1000), ((2**32 - 1,), 1000)],
)
def test_a_run_that_begins_now_trains_trials_with_a_seed_of_their_own(seeds: tuple[int, ...], trained: int) -> None:
    one = experiment(*seeds)
    assert rules_of(one, []) == Rules(trial_seed=trained, cross_fitted=True)
    assert one.trial_seed not in one.seeds
    assert one.trial_seed >= FIRST_TRIAL_SEED


def test_a_run_goes_on_as_it_was_begun() -> None:
    more = experiment(0, 1, 2, 1000)  # would begin with another seed now
    now = [record("search", 1000, cross_fitted=5), record("evaluation", 0, cross_fitted=5)]
    assert rules_of(more, now) == Rules(trial_seed=1000, cross_fitted=True)
    before = [record("search", 0), record("evaluation", 0)]
    assert rules_of(more, before) == Rules(trial_seed=0, cross_fitted=False)
    failed = [record("search", 0, status="failed")]
    assert rules_of(more, failed) == Rules(trial_seed=0, cross_fitted=False)


def test_an_ablation_without_a_search_tells_how_it_was_judged_but_no_seed_of_trials() -> None:
    given = [record("ablation", 0), record("ablation", 1)]
    assert rules_of(experiment(0, 1), given) == Rules(trial_seed=1000, cross_fitted=False)
    given = [record("ablation", 0, cross_fitted=3), record("tuning", 1000, cross_fitted=3)]
    assert rules_of(experiment(0, 1), given) == Rules(trial_seed=1000, cross_fitted=True)


def test_the_seed_of_trials_is_no_part_of_what_an_experiment_is() -> None:
    """Records of runs begun before name the same experiment."""
    assert experiment(0).fingerprint == experiment(0, 1000).fingerprint
    assert experiment(0).fingerprint != experiment(1).fingerprint

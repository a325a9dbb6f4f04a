"""What an experiment may say of ensembles, and what is refused before any work."""

from typing import Any

import pytest

from orchestrator import Experiment, InputError
from orchestrator.experiment.ensemble_checks import check_ensembles, refuse_alike
from orchestrator.experiment.goal import Goal
from orchestrator.experiment.of_a_run import differing

FAMILIES = ["pca_logistic", {"name": "cnn", "family": "plot_classifier"}]
BOTH = {"name": "both", "of": ["pca_logistic", "cnn"]}


def experiment(*ensembles: dict[str, Any], **changes: Any) -> Experiment:
    values = {"data": {"path": "data"}, "families": FAMILIES, "seeds": [4, 5], "ensembles": list(ensembles)}
    return Experiment.from_mapping({**values, **changes})


def test_members_are_paired_by_seed_or_all_together() -> None:
    both, seeds = experiment(BOTH, {"name": "seeds", "of": "cnn", "over": "seeds"}).ensembles
    assert both.seeds((4, 5)) == (4, 5)
    assert both.members(5, (4, 5)) == [("pca_logistic", 5), ("cnn", 5)]
    assert seeds.seeds((4, 5)) == (4,)
    assert seeds.members(4, (4, 5)) == [("cnn", 4), ("cnn", 5)]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({**BOTH, "name": "cnn"}, "'cnn' can't be the name of an ensemble, a variant has that name"),
        (
            {**BOTH, "of": ["pca_logistic", "vit"]},
            "both.of names 'vit'; it must name variants of `families`",
        ),
        ({**BOTH, "of": ["cnn", "cnn"]}, "names 'cnn' twice"),
        ({**BOTH, "of": ["cnn"]}, "names one variant, 'cnn'; name two or more, or set over: seeds"),
        ({**BOTH, "weight": "uniform"}, "weight"),
        ({**BOTH, "weights": "best"}, "uniform"),
        ({"name": "a/b", "of": ["pca_logistic", "cnn"]}, "name"),
    ],
)
def test_entries_that_fit_nothing_are_refused(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        experiment(entry)


def test_names_must_differ_and_one_model_is_no_ensemble() -> None:
    with pytest.raises(InputError, match="two ensembles have that name"):
        experiment(BOTH, BOTH)
    with pytest.raises(InputError, match="would have one member, 'cnn' with the only seed, 7"):
        experiment({"name": "seeds", "of": ["cnn"], "over": "seeds"}, seeds=[7])


def test_an_ensemble_is_the_baseline_only_where_it_is_named() -> None:
    assert experiment(BOTH).baseline_name == "pca_logistic"
    assert experiment(BOTH, baseline="both").baseline_name == "both"


def test_they_may_change_while_a_run_goes_on() -> None:
    assert differing(experiment(), experiment(BOTH)) == []
    assert experiment().fingerprint == experiment(BOTH).fingerprint


def test_weights_can_not_be_fitted_to_normal_pictures_alone() -> None:
    goal = Goal("detection", "good", "validation_loss", "min", "roc_auc", ("percentile(95)",), anomalies=False)
    check_ensembles(experiment(BOTH), goal)
    with pytest.raises(InputError, match=r"weights: uniform, or move a share .*anomalies_to_validation: 0.3"):
        check_ensembles(experiment({**BOTH, "weights": "validation"}), goal)


def test_that_they_have_no_maps_is_said_where_tables_rank_by_them() -> None:
    goal = Goal("detection", "good", "roc_auc", "max", "pro_auc", ("percentile(95)",), anomalies=True)
    assert "Ensembles have no maps, so no pro_auc" in check_ensembles(experiment(BOTH), goal)[0]


def test_the_mean_of_one_model_with_itself_is_refused() -> None:
    refuse_alike(experiment({"name": "seeds", "of": ["cnn"], "over": "seeds"}))
    with pytest.raises(InputError, match="its family has no randomness"):
        refuse_alike(experiment({"name": "seeds", "of": ["pca_logistic"], "over": "seeds"}))

"""What an ablation may not ask for, said before any work starts."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.data.layouts.listing import ListedFile, Listing, Part
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.experiment.ablation_checks import check_ablation, with_all_sizes
from orchestrator.experiment.ablation_rows import AskedAblation
from orchestrator.experiment.checks import Frame
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.goal import check_names, goal_of
from trainables.errors import InputError

DETECTION: dict[str, Any] = {
    "data": {"path": "x", "layout": "mvtec", "size": 32, "split": {"anomalies_to_validation": 0.3}},
    "families": ["pca", {"family": "conv_autoencoder", "fixed": {"architecture": "B"}}],
    "budget": {"epochs": 2},
}
CLASSIFICATION: dict[str, Any] = {
    "data": {"path": "x", "size": 32},
    "families": ["pca_logistic"],
    "budget": {"epochs": 2},
}
PICTURES: list[tuple[str, Part]] = [("good", "train"), ("good", "test"), ("hole", "test")]
TILE = Listing(Path("x"), LAYOUTS["mvtec"], tuple(ListedFile(f"{n}.png", *one) for n, one in enumerate(PICTURES)), ())
PLOTS = Listing(Path("x"), LAYOUTS["series"], tuple(ListedFile(f"{n}.csv", c, None) for n, c in enumerate("ab")), ())


def check(ablation: dict[str, Any], values: dict[str, Any] = DETECTION, **sections: Any) -> list[str]:
    experiment = Experiment.from_mapping({**values, **sections, "ablation": ablation})
    layout = LAYOUTS[experiment.data.layout]
    goal, _ = goal_of(experiment, TILE if layout.normal else PLOTS, *check_names(experiment))
    frame = Frame(goal, ("normal", "anomaly"), lambda family: "cpu", layout.depth)
    return check_ablation(AskedAblation.of(goal.settle(experiment)), frame)


def named(family: str | None = None, **keys: Any) -> dict[str, Any]:
    return {"design": "named", "variants": [{"name": "row", "set": keys, "family": family}]}


@pytest.mark.parametrize(
    ("ablation", "words"),
    [
        (
            {"factors": {"component": [2, 4]}},
            ["Unknown key 'component' in ablation.factors", "'components'", "threshold"],
        ),
        ({"factors": {"components": [2, "many"]}}, ["ablation.factors.components", "'many'"]),
        ({"factors": {"components": [2, 0]}}, ["ablation.factors.components", "must be at least 1", "got 0"]),
        ({"factors": {"crop": [1, 1.0]}}, ["ablation.factors.crop", "mean the same"]),
        ({"factors": {"size": [32, 4]}}, ["ablation.factors.size", "4", "8 to 2048"]),
        ({"factors": {"size": [32, "big"]}}, ["ablation.factors.size", "'big'"]),
        ({"factors": {"size": [32, [32]]}}, ["ablation.factors.size", "[32]"]),
        ({"factors": {"epochs": [2, 0]}}, ["ablation.factors.epochs", "got 0"]),
        ({"factors": {"threshold": ["youden", "yuden"]}}, ["ablation.factors.threshold", "Did you mean 'youden'?"]),
        ({"factors": {"threshold": ["youden", 3]}}, ["ablation.factors.threshold", "percentile(95)", "got 3"]),
        ({"config": {"components": "x"}, "factors": {"crop": [0.5, 1]}}, ["ablation.config.components", "'x'"]),
        (named(thumb=3), ["Unknown key 'thumb' in ablation.variants.row.set", "'thumbnail'"]),
        (named("pca_logistic", C=3.0), ["row", "pca_logistic is for classification", "detection"]),
        (named("pca_logistic"), ["row", "pca_logistic is for classification"]),
        (named(size=32), ["every variant is the same as the baseline"]),
        (
            {**named(components=2, crop=1.0, blur=0.0), "tune": 2},
            ["ablation, row", "`tune` has nothing left to search"],
        ),
        ({"baseline": "conv_autoencoder", "factors": {"size": [32, 30]}}, ["ablation, size: 30", "30"]),
        ({"baseline": "conv_autoencoder", **named(architecture="B")}, ["the same as the baseline"]),
    ],
)
def test_bad_ablations_are_named_with_what_is_allowed(ablation: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        check(ablation)
    for word in words:
        assert word in str(caught.value)


def test_a_classifier_has_no_threshold() -> None:
    with pytest.raises(InputError, match=r"ablation.factors.threshold: pca_logistic classifies"):
        check({"factors": {"threshold": ["youden", "max_normal"]}}, CLASSIFICATION)
    assert check({"factors": {"C": [0.1, 1.0], "size": [32, 24]}}, CLASSIFICATION) == []


def test_a_strategy_that_validation_cannot_carry_is_refused() -> None:
    data = {"path": "x", "layout": "mvtec", "size": 32}
    given = {"config": {"components": 4}, "factors": {"threshold": ["percentile(95)", "youden"]}}
    with pytest.raises(InputError, match=r"ablation.factors.threshold: youden needs known anomalies"):
        check(given, data=data)


def test_a_tuning_by_loss_may_not_choose_what_the_loss_means() -> None:
    data = {"path": "x", "layout": "mvtec", "size": 32}
    with pytest.raises(InputError, match="can't choose what changes the meaning"):
        check({"config": {}, "factors": {"grey": [False, True]}, "tune": 2}, data=data)


def test_an_experiment_without_an_ablation_says_what_to_add() -> None:
    with pytest.raises(InputError, match=r"no `ablation:`[^!]*factors"):
        AskedAblation.of(Experiment.from_mapping(DETECTION))


def test_a_given_baseline_without_a_strategy_takes_the_first_and_says_so() -> None:
    given: dict[str, Any] = {"config": {"components": 4}, "factors": {"crop": [0.5, 1.0]}}
    assert any("has the first, percentile(95)" in remark for remark in check(given))
    assert not any("the first" in remark for remark in check(given, threshold={"strategies": ["youden"]}))
    assert not any("the first" in remark for remark in check({**given, "config": {"threshold": "youden"}}))


def test_pictures_are_needed_at_every_size_of_a_row_the_baseline_s_first() -> None:
    ablation = {"config": {"size": 40}, "factors": {"components": [2, 4]}, "design": "factorial"}
    experiment = Experiment.from_mapping({**DETECTION, "ablation": ablation})
    goal, _ = goal_of(experiment, TILE, *check_names(experiment))
    assert [one.size for one in with_all_sizes(AskedAblation.of(goal.settle(experiment)), goal).families] == [(40, 40)]
    ablation = {"factors": {"size": [24, [32, 48], 32]}}
    experiment = Experiment.from_mapping({**DETECTION, "ablation": ablation})
    assert [one.size for one in with_all_sizes(AskedAblation.of(goal.settle(experiment)), goal).families] == [
        (32, 32),
        (24, 24),
        (32, 48),
    ]

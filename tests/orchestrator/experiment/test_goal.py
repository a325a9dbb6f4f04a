"""What a run seeks: one task, a normal class, metrics that its data can give."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.data.layouts.listing import ListedFile, Listing, Part
from orchestrator.data.layouts.table import LAYOUTS, LayoutName
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.goal import Goal, check_names, check_task, goal_of
from trainables.errors import InputError

DETECT = ("pca",)


def experiment(**sections: Any) -> Experiment:
    values: dict[str, Any] = {"data": {"path": "x", "layout": "mvtec"}, "families": list(DETECT)}
    return Experiment.from_mapping({**values, **sections})


def listing(*rows: tuple[str, Part | None], layout: LayoutName = "mvtec", mask: str | None = None) -> Listing:
    files = tuple(
        ListedFile(f"{name}/{number}.png", name, part, mask=mask if name != "good" else None)
        for number, (name, part) in enumerate(rows)
    )
    return Listing(Path("x"), LAYOUTS[layout], files, ())


NORMALS_ONLY = listing(("good", "train"), ("good", "test"), ("crack", "test"))
WITH_ANOMALIES = listing(("good", "train"), ("good", "validation"), ("crack", "validation"), ("crack", "test"))


def goal(listed: Listing, **sections: Any) -> Goal:
    task, own = check_names(given := experiment(**sections))
    check_task(given, task, listed)
    return goal_of(given, listed, task, own)[0]


def test_with_known_anomalies_the_search_goes_by_roc_auc_and_all_strategies_are_compared() -> None:
    found = goal(WITH_ANOMALIES)
    assert (found.task, found.normal, found.metric, found.mode, found.test_metric) == (
        "detection", "good", "roc_auc", "max", "roc_auc",
    )  # fmt: skip
    assert "youden" in found.strategies
    assert "percentile(95)" in found.strategies


def test_with_normals_only_it_goes_by_the_loss_and_a_percentile_and_says_so() -> None:
    found, remarks = goal_of(given := experiment(), NORMALS_ONLY, *check_names(given))
    assert (found.metric, found.mode, found.test_metric) == ("validation_loss", "min", "roc_auc")
    assert found.strategies[0] == "percentile(95)"
    assert "youden" not in found.strategies
    assert any("normal pictures only" in remark for remark in remarks)


def test_limits_are_part_of_what_is_sought_and_random_draws_say_that_they_learn_nothing_of_them() -> None:
    limited = {"objective": {"constraints": {"latency_ms": 20}}}
    assert not goal(WITH_ANOMALIES).limits.given
    assert goal(WITH_ANOMALIES, **limited).limits.told == "latency at most 20 ms"
    said = [
        goal_of(given := experiment(**limited, sampler=sampler), WITH_ANOMALIES, *check_names(given))[1]
        for sampler in ("tpe", "random")
    ]
    assert [any("learns nothing of objective.constraints" in one for one in remarks) for remarks in said] == [
        False, True,
    ]  # fmt: skip


def test_a_detection_metric_needs_known_anomalies() -> None:
    with pytest.raises(InputError, match="anomalies_to_validation"):
        goal(NORMALS_ONLY, objective={"metric": "roc_auc"})
    moved = {"path": "x", "layout": "mvtec", "split": {"anomalies_to_validation": 0.3}}
    assert goal(NORMALS_ONLY, objective={"metric": "roc_auc"}, data=moved).metric == "roc_auc"


def test_a_strategy_that_needs_anomalies_is_refused_without_them() -> None:
    with pytest.raises(InputError, match=r"youden.*normal pictures only"):
        goal(NORMALS_ONLY, threshold={"strategies": ["percentile(99)", "youden"]})
    assert goal(NORMALS_ONLY, threshold={"strategies": ["percentile(99)"]}).strategies == ("percentile(99)",)


def test_pixel_metrics_need_masks() -> None:
    with pytest.raises(InputError, match="needs masks"):
        goal(WITH_ANOMALIES, objective={"test_metric": "pro_auc"})
    masked = listing(("good", "train"), ("good", "test"), ("crack", "test"), mask="m.png")
    assert goal(masked, objective={"test_metric": "pro_auc"}).test_metric == "pro_auc"


def test_class_folders_must_say_what_is_normal() -> None:
    folders = listing(("good", None), ("crack", None), layout="images")
    data = {"path": "x", "layout": "images"}
    with pytest.raises(InputError, match=r"Set data.normal to one of: crack, good"):
        goal(folders, data=data)
    with pytest.raises(InputError, match="Did you mean 'good'"):
        goal(folders, data={**data, "normal": "god"})
    found = goal(folders, data={**data, "normal": "good"})
    assert (found.normal, found.anomalies) == ("good", True)


@pytest.mark.parametrize("metric", ["validation_loss", "pro_auc"])
def test_a_default_to_be_beaten_needs_a_metric_that_can_be_drawn_again(metric: str) -> None:
    masked = listing(("good", "train"), ("good", "validation"), ("crack", "validation"), mask="m.png")
    objective = {"metric": metric, "winner": "beats_default"}
    with pytest.raises(InputError, match=rf"objective\.metric is {metric}, of which no draws.*roc_auc.*or leave"):
        goal(masked, objective=objective)
    assert goal(masked, objective={"metric": metric}).metric == metric
    assert goal(masked, objective={**objective, "metric": "roc_auc"}).metric == "roc_auc"


def test_with_normals_only_no_default_can_be_beaten() -> None:
    with pytest.raises(InputError, match=r"metric is validation_loss.*with known anomalies in validation; or leave"):
        goal(NORMALS_ONLY, objective={"winner": "beats_default"})


def test_a_layout_s_own_normal_class_is_not_overruled() -> None:
    with pytest.raises(InputError, match=r"Leave data\.normal out"):
        goal(WITH_ANOMALIES, data={"path": "x", "layout": "mvtec", "normal": "crack"})


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"families": ["pca", "pca_logistic"]}, "Make two experiments"),
        ({"objective": {"metric": "roc_auk"}}, "Did you mean 'roc_auc'"),
        ({"objective": {"metric": "macro_f1"}}, "macro_f1 is for classification, and these families do detection"),
        ({"objective": {"test_metric": "validation_loss"}}, "Unknown metric 'validation_loss'"),
        ({"threshold": {"search": True}, "objective": {"metric": "roc_auc"}}, "does not depend on it"),
        ({"families": ["pca_logistic"], "threshold": {"search": True}}, "these families classify"),
    ],
)
def test_names_that_do_not_fit_are_refused_without_looking_at_data(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_names(experiment(**sections))


def test_what_was_unset_is_written_out() -> None:
    given = experiment()
    settled = goal_of(given, NORMALS_ONLY, *check_names(given))[0].settle(given)
    assert settled.objective.metric == "validation_loss"
    assert settled.objective.test_metric == "roc_auc"
    assert settled.threshold.strategies[0] == "percentile(95)"
    assert settled.data.normal == "good"
    assert goal_of(settled, NORMALS_ONLY, *check_names(settled))[0].settle(settled) == settled


def test_classification_is_as_it_was() -> None:
    folders = listing(("a", None), ("b", None), layout="images")
    found = goal(folders, families=["pca_logistic"], data={"path": "x", "layout": "images"})
    assert (found.task, found.metric, found.mode, found.normal, found.strategies) == (
        "classification", "macro_f1", "max", None, (),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("strategies", "count", "least"),
    [(["percentile(95)"], 19, 20), (["percentile(95)"], 20, 0), (["percentile(99)"], 20, 100), (["max_normal"], 2, 0)],
)
def test_a_percentile_of_few_normals_is_said_to_be_their_largest(strategies: list[str], count: int, least: int) -> None:
    found = goal(NORMALS_ONLY, threshold={"strategies": strategies}).few_normals(count)
    assert [f"of fewer than {least}" in line and f"of {count} normal" in line for line in found] == [True] * bool(least)


def test_where_validation_chooses_the_strategy_no_percentile_decides() -> None:
    assert goal(WITH_ANOMALIES).few_normals(2) == []
    assert goal(WITH_ANOMALIES, threshold={"strategies": ["percentile(95)"]}).few_normals(2) != []

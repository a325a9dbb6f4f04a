"""From factors and levels to rows, and from the baseline's configuration to theirs."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.experiment.ablation_rows import (
    AskedAblation,
    changed,
    given_baseline,
    known_values,
    rows,
    tuned_variant,
    values,
)
from orchestrator.experiment.ablation_settings import Ablation
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.settings import Setting

BASE = Setting(
    family="feature_autoencoder",
    config={"input": "rgbd", "layers": "1+2+3+4"},
    size=(64, 64),
    epochs=10,
    strategy="youden",
    trial=7,
    trials=20,
)


def experiment(ablation: dict[str, Any], **variant: Any) -> Experiment:
    families = [{"name": "full", "family": "feature_autoencoder", "fixed": {"input": "rgbd"}, **variant}]
    return Experiment.from_mapping(
        {
            "data": {"path": "x", "layout": "rgbd", "size": 64},
            "families": families,
            "budget": {"epochs": 10},
            "ablation": ablation,
        }
    )


def asked(ablation: dict[str, Any], **variant: Any) -> AskedAblation:
    return AskedAblation.of(experiment(ablation, **variant))


def names(ablation: dict[str, Any], base: Setting = BASE) -> list[str]:
    return [row.name for row in rows(Ablation.model_validate(ablation), base.family, values(base))]


FACTORS: dict[str, Any] = {"input": ["rgb", "rgbd"], "layers": [[1, 2, 3, 4], [2, 3]]}


def test_one_factor_at_a_time_leaves_the_baseline_s_own_levels_out() -> None:
    assert names({"factors": FACTORS}) == ["input: rgb", "layers: 2,3"]
    assert names(
        {"factors": {"threshold": ["youden", "percentile(95)"], "size": [64, [32, 48]], "epochs": [5, 10]}}
    ) == [
        "threshold: percentile(95)",
        "size: 32,48",
        "epochs: 5",
    ]


def test_factorial_crosses_all_levels_and_the_baseline_s_combination_is_its_row() -> None:
    found = rows(Ablation.model_validate({"design": "factorial", "factors": FACTORS}), BASE.family, values(BASE))
    assert [(row.name, row.changes) for row in found] == [
        ("input: rgb, layers: 1,2,3,4", {"input": "rgb"}),
        ("input: rgb, layers: 2,3", {"input": "rgb", "layers": [2, 3]}),
        ("input: rgbd, layers: 2,3", {"layers": [2, 3]}),
    ]
    assert found[0].held == {"input": "rgb", "layers": [1, 2, 3, 4]}


def test_named_rows_change_several_keys_and_the_same_change_makes_one_row() -> None:
    variants = [
        {"name": "reduced", "set": {"layers": "2+3", "input": "rgb"}},
        {"name": "nothing new", "set": {"input": "rgbd"}},
        {"name": "reduced again", "set": {"input": "rgb", "layers": [3, 2]}},
        {"name": "neighbours", "family": "patch_knn", "set": {"layers": [2, 3]}},
    ]
    assert names({"design": "named", "variants": variants}) == ["reduced", "neighbours"]


def test_a_row_inherits_all_but_what_it_changes() -> None:
    found = changed(BASE, {"layers": [2, 3], "size": 32, "epochs": 5, "threshold": "percentile(95.0)"})
    config = {"input": "rgbd", "layers": "2+3"}
    assert found == replace(BASE, config=config, size=(32, 32), epochs=5, strategy="percentile(95)")


def test_a_row_of_another_family_inherits_no_key_and_no_search() -> None:
    found = changed(BASE, {"coreset_share": 0.2}, "patch_knn")
    assert found == replace(BASE, family="patch_knn", config={"coreset_share": 0.2}, trial=0, trials=0)


def test_a_given_baseline_is_the_variant_s_fixed_keys_under_those_of_config() -> None:
    config = {"latent_dim": 16, "input": "rgb", "threshold": "max_normal"}
    given = replace(BASE, trial=0, trials=0)
    found = given_baseline(asked({"config": config, "factors": {"grid": [8, 16]}}), ("youden", "max_normal"))
    assert found == replace(given, config={"input": "rgb", "latent_dim": 16}, strategy="max_normal")
    without = asked({"config": {}, "factors": {"grid": [8, 16]}})
    assert given_baseline(without, ("youden", "max_normal")) == replace(given, config={"input": "rgbd"})
    assert given_baseline(asked({"factors": {"grid": [8, 16]}}), ()) is None


def test_before_the_search_all_is_known_that_it_does_not_draw() -> None:
    known = known_values(asked({"factors": FACTORS}), ("youden", "max_normal"))
    assert (known["input"], known["layers"], known["size"]) == ("rgbd", "1+2+3+4", [64, 64])
    assert not known.keys() & {"learning_rate", "latent_dim", "threshold"}
    assert known_values(asked({"factors": FACTORS}), ("youden",))["threshold"] == "youden"


def test_tuning_fixes_every_key_of_the_ablation_and_searches_the_rest() -> None:
    ablation = {"factors": {**FACTORS, "size": [64, 32]}, "tune": 3}
    plan = asked(ablation, space={"latent_dim": [8, 16], "input": ["rgb", "rgbd"]}, fixed={"batch_size": 2})
    found = {row.name: tuned_variant(plan, row) for row in rows(plan.ablation, BASE.family, values(BASE))}
    layers, size = found["layers: 2,3"], found["size: 32"]
    assert layers.fixed == {"batch_size": 2, "input": "rgbd", "layers": "2+3"}
    assert layers.space == {"latent_dim": [8, 16]}
    assert (layers.size, size.size) == ((64, 64), (32, 32))
    assert size.fixed == {"batch_size": 2, "input": "rgbd", "layers": "1+2+3+4"}
    assert len({variant.name for variant in found.values()}) == len(found)
    assert all(variant.name.startswith("full~") for variant in found.values())


def test_a_tuning_is_named_by_its_changes_and_its_budget_alone() -> None:
    def found(**changes: Any) -> set[str]:
        plan = asked({"factors": FACTORS, "tune": 3, **changes})
        return {tuned_variant(plan, row).name for row in rows(plan.ablation, BASE.family, values(BASE))}

    assert len(found()) == 2
    assert found() == found(factors={"layers": ["3+2", "1+2+3+4"], "input": ["rgbd", "rgb"]})
    assert found() < found(design="factorial")
    assert not found() & found(tune=4)


def test_of_a_given_baseline_what_no_search_varies_stays_as_given() -> None:
    config = {"latent_dim": 16, "grid": 8, "epochs": 5}
    plan = asked({"config": config, "factors": {"layers": ["2", "3"]}, "tune": 2})
    base = given_baseline(plan, ("youden",))
    assert base is not None
    found = tuned_variant(plan, rows(plan.ablation, base.family, values(base))[0])
    assert found.fixed == {"input": "rgbd", "grid": 8, "layers": "2"}
    assert found.epochs == 5


@pytest.mark.parametrize(
    ("ablation", "words"),
    [
        ({"factors": {"input": []}}, ["factors.input is empty"]),
        ({"factors": {"input": ["rgb"]}}, ["factors.input has one level", "design: named"]),
        ({"factors": {"grid": [8, 8]}}, ["factors.grid", "8 twice"]),
        ({}, ["design one_factor needs `factors`"]),
        ({"design": "named", "factors": FACTORS}, ["`factors` does not go with design named", "`variants`"]),
        ({"variants": [{"name": "a", "set": {"grid": 8}}], "factors": FACTORS}, ["`variants` does not go with"]),
        ({"design": "named"}, ["needs `variants`"]),
        ({"design": "named", "variants": [{"name": "a"}]}, ["variants.a changes nothing"]),
        ({"design": "names", "factors": FACTORS}, ["ablation.design", "'factorial'"]),
        ({"config": {"input": "rgb"}, "factors": FACTORS}, ["input stands in both `config` and `factors`", "`fixed`"]),
        ({"baseline": "fulll", "factors": FACTORS}, ["ablation.baseline is 'fulll'", "full"]),
        ({"factor": FACTORS}, ["Unknown key 'factor' in ablation", "Did you mean 'factors'?"]),
        ({"factors": FACTORS, "tune": 0}, ["ablation.tune", "must be at least 1"]),
        (
            {"design": "named", "variants": [{"name": "full", "set": {"grid": 8}}]},
            ["'full' is the name of two rows"],
        ),
        ({"design": "named", "variants": [{"name": "a", "family": "pcaa"}]}, ["Unknown family 'pcaa'", "'pca'"]),
        (
            {"design": "factorial", "factors": {key: list(range(6)) for key in ("grid", "latent_dim", "epochs")}},
            ["217 variants x 5 seeds = 1,085 cells", "at most 1,000"],
        ),
    ],
)
def test_what_is_wrong_with_the_section_is_said_when_the_file_is_read(
    ablation: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"ablation|Unknown") as caught:
        experiment(ablation)
    for word in words:
        assert word in str(caught.value)


def test_the_ablation_changes_no_fingerprint() -> None:
    one, other = experiment({"factors": FACTORS}), experiment({"config": {}, "factors": {"grid": [8, 16]}})
    assert one.fingerprint == other.fingerprint == one.model_copy(update={"ablation": None}).fingerprint

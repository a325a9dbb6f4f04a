from typing import Any

import optuna
import pytest

from search_spaces.overrides import (
    SearchTrial,
    draw_config,
    example_configs,
    parameter_names,
)


def ask(seed: int = 0) -> optuna.Trial:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()


def branching(trial: SearchTrial) -> dict[str, Any]:
    """A space with branches inside branches."""
    kind = trial.suggest_categorical("kind", ["linear", "tree"])
    if kind == "linear":
        return {"kind": kind, "C": trial.suggest_float("C", 1e-3, 1e3, log=True)}
    depth = trial.suggest_int("depth", 1, 8)
    config = {"kind": kind, "depth": depth}
    if depth > 4:
        config["pruning"] = trial.suggest_categorical("pruning", ["none", "cost"])
        if config["pruning"] == "cost":
            config["alpha"] = trial.suggest_float("alpha", 0.0, 1.0)
    return config


def test_without_overrides_the_trial_is_asked() -> None:
    trial = ask()
    search = SearchTrial(trial)
    values = {
        "a": search.suggest_float("a", 1e-4, 1.0, log=True),
        "b": search.suggest_int("b", 2, 10, step=2),
        "c": search.suggest_categorical("c", ["x", "y"]),
    }
    assert trial.params == values
    assert trial.distributions["a"] == optuna.distributions.FloatDistribution(1e-4, 1.0, log=True)
    assert trial.distributions["b"] == optuna.distributions.IntDistribution(2, 10, step=2)
    assert trial.distributions["c"] == optuna.distributions.CategoricalDistribution(["x", "y"])


def test_a_fixed_value_is_returned_and_nothing_is_drawn() -> None:
    trial = ask()
    search = SearchTrial(trial, fixed={"a": 1, "b": 3, "c": "z"})
    values = search.suggest_float("a", 5.0, 6.0), search.suggest_int("b", 5, 6), search.suggest_categorical("c", ["x"])
    assert values == (1.0, 3, "z")
    assert isinstance(values[0], float)
    assert trial.params == {}


def test_a_fixed_value_decides_the_branch() -> None:
    trial = ask()
    assert draw_config(branching, trial, {"kind": "linear"}, {}).keys() == {"kind", "C"}
    assert trial.params.keys() == {"C"}


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({"low": 1e-5, "high": 1e-4}, optuna.distributions.FloatDistribution(1e-5, 1e-4, log=True)),
        ({"low": 0, "high": 1, "log": False}, optuna.distributions.FloatDistribution(0.0, 1.0)),
        ({"low": 0.0, "high": 1.0, "step": 0.25}, optuna.distributions.FloatDistribution(0.0, 1.0, step=0.25)),
        ([1, 0.1], optuna.distributions.CategoricalDistribution([1.0, 0.1])),
    ],
)
def test_another_range_for_a_float(space: Any, expected: Any) -> None:
    trial = ask()
    value = SearchTrial(trial, space={"lr": space}).suggest_float("lr", 1e-6, 1e-1, log=True)
    assert isinstance(value, float)
    assert trial.distributions["lr"] == expected


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({"low": 2, "high": 8}, optuna.distributions.IntDistribution(2, 8, log=True)),
        ({"low": 2, "high": 8, "step": 3}, optuna.distributions.IntDistribution(2, 8, step=3)),
        ([2, 8], optuna.distributions.CategoricalDistribution([2, 8])),
    ],
)
def test_another_range_for_an_int(space: Any, expected: Any) -> None:
    trial = ask()
    value = SearchTrial(trial, space={"n": space}).suggest_int("n", 1, 64, log=True)
    assert isinstance(value, int)
    assert trial.distributions["n"] == expected


def test_another_list_for_a_categorical_and_a_range_for_one() -> None:
    trial = ask()
    search = SearchTrial(trial, space={"kind": ["p", None, True], "side": {"low": 8, "high": 64}})
    assert search.suggest_categorical("kind", ["x", "y"]) in ("p", None, True)
    assert 8 <= search.suggest_categorical("side", [16, 32]) <= 64
    assert trial.distributions["side"] == optuna.distributions.IntDistribution(8, 64)


def test_a_key_that_the_space_does_not_draw_can_be_searched_as_well() -> None:
    trial = ask()
    config = draw_config(
        branching, trial, {"kind": "linear"}, {"backbone": ["r", "v"], "batch": {"low": 8, "high": 64}}
    )
    assert config["backbone"] in ("r", "v")
    assert isinstance(config["batch"], int)
    assert trial.params.keys() == {"C", "backbone", "batch"}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"C": {"low": 1}}, "space.C is a range .* missing: high"),
        ({"C": {"low": 1, "high": 2, "hihg": 3}}, "unknown: hihg"),
        ({"C": {"low": 2, "high": 1}}, "low must be below high; it is 2.0 and high is 1.0"),
        ({"C": {"low": 0, "high": 1}}, "low must be above 0"),
        ({"C": {"low": 1, "high": 2, "log": True, "step": 1}}, "no step"),
        ({"C": {"low": 1, "high": 2, "log": "yes"}}, "log must be true or false"),
        ({"C": {"low": 1, "high": 2, "step": 0}}, "step must be above 0"),
        ({"C": {"low": "a", "high": 2}}, "low must be a finite number; it is 'a'"),
        ({"C": {"low": 1, "high": float("inf")}}, "high must be a finite number"),
        ({"C": []}, "empty list"),
        ({"C": ["a"]}, "a choice must be a finite number"),
        ({"C": 3}, "must be a list of choices or a range"),
        ({"kind": [["a"]]}, "a choice is a number, a text"),
        ({"depth": {"low": 1.5, "high": 3}}, "low must be a whole number; it is 1.5"),
    ],
)
def test_a_wrong_override_is_refused(space: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        example_configs(branching, {}, space)


def test_a_fixed_value_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="depth: a fixed value must be a whole number; it is 'deep'"):
        SearchTrial(ask(), fixed={"depth": "deep"}).suggest_int("depth", 1, 8)


def test_right_overrides_pass() -> None:
    space = {"C": {"low": 1, "high": 2}, "depth": [5, 6], "alpha": {"low": 0, "high": 0.5}}
    examples = example_configs(branching, {}, space)
    assert {example["depth"] for example in examples if "depth" in example} == {5, 6}


def test_all_branches_are_found() -> None:
    assert parameter_names(branching) == ("kind", "C", "depth", "pruning", "alpha")


def test_examples_cover_every_choice_and_obey_overrides() -> None:
    examples = example_configs(branching, {}, {})
    assert {example.get("pruning") for example in examples} == {None, "none", "cost"}
    assert {example.get("depth") for example in examples} == {None, 1, 8}
    fixed = example_configs(branching, {"kind": "tree", "depth": 6}, {"alpha": [0.25, 0.75]})
    assert {example["depth"] for example in fixed} == {6}
    assert {example.get("alpha") for example in fixed if example["pruning"] == "cost"} == {0.25, 0.75}


def test_it_draws_inside_a_study_with_branches() -> None:
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    seen = set()
    for _ in range(30):
        trial = study.ask()
        config = draw_config(branching, trial, {}, {"depth": {"low": 4, "high": 6}})
        assert config == trial.params
        seen |= config.keys()
        study.tell(trial, float(config.get("depth", 0)))
    assert seen == {"kind", "C", "depth", "pruning", "alpha"}

"""Importance from records alone: the hyperparameter that decided is found, and few trials say nothing."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.figures.importance import importance, importance_chart, importance_frame
from orchestrator.report.figures.svg import drawing
from orchestrator.report.numbers.hyperparameters import Effect, effects
from orchestrator.report.numbers.run_data import read_run

MakeRun = Callable[..., RunFolder]


def effect(name: str, values: list[Any], objective: np.ndarray, completed: np.ndarray | None = None) -> Effect:
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    done = np.ones(len(values), dtype=bool) if completed is None else completed
    return Effect("v", name, numeric, tuple(range(len(values))), tuple(values), objective, done, None, values[0])


def searched(count: int = 60) -> tuple[list[Effect], np.ndarray]:
    """A rate over decades decides; a share, a category and a whole number do not."""
    draws = np.random.default_rng(1)
    rate = 10 ** draws.uniform(-5, -1, count)
    objective = -((np.log10(rate) + 3) ** 2)
    found = [
        effect("share", draws.uniform(0, 1, count).tolist(), objective),
        effect("rate", rate.tolist(), objective),
        effect("kind", [["a", None, True][row] for row in draws.integers(3, size=count)], objective),
        effect("size", draws.integers(1, 64, count).tolist(), objective),
    ]
    return found, objective


@pytest.mark.parametrize("mode", ["max", "min"])
def test_what_decided_is_first(mode: Any) -> None:
    found, _ = searched()
    assert found[1].logarithmic
    if mode == "min":
        found = [effect(one.parameter, list(one.values), -one.objective) for one in found]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = importance("v", found, mode)
    assert one is not None
    assert next(iter(one.shares)) == "rate"
    assert one.shares["rate"] > 0.5
    assert sum(one.shares.values()) == pytest.approx(1)
    assert set(one.shares) == {"share", "rate", "kind", "size"}
    assert (one.completed, one.best, one.left_out) == (60, 6, ())
    assert one == importance("v", found, mode)
    assert list(importance_frame([one])["importance"]) == list(one.shares.values())


def test_few_trials_say_nothing() -> None:
    found, _ = searched(19)
    assert importance("v", found, "max") is None
    assert importance("v", [], "max") is None
    found, _ = searched(20)
    twenty = importance("v", found, "max")
    assert twenty is not None
    assert twenty.best == 5


def test_only_completed_trials_count() -> None:
    found, objective = searched(60)
    done = np.arange(60) < 30
    parts = [effect(one.parameter, list(one.values), objective, done) for one in found]
    some = importance("v", parts, "max")
    first = [effect(one.parameter, list(one.values[:30]), objective[:30]) for one in found]
    alone = importance("v", first, "max")
    assert some is not None
    assert alone is not None
    assert some.completed == alone.completed == 30


def test_what_not_every_trial_has_is_left_out_and_said(make_run: MakeRun) -> None:
    found, objective = searched(60)
    momentum = effect("momentum", list(range(40)), objective[:40])
    one = importance("v", [*found, momentum], "max")
    assert one is not None
    assert one.left_out == ("momentum",)
    assert "momentum" not in one.shares
    with drawing():
        chart = importance_chart(read_run(make_run(seeds=())), one, "i")
    assert "since not every trial has them: momentum" in chart.caption
    # Two halves of the trials with a hyperparameter each have none in common.
    halves = [effect("a", list(range(30)), objective[:30]), effect("b", list(range(30)), objective[30:])]
    halves[1] = Effect(**{**vars(halves[1]), "trials": tuple(range(30, 60))})
    assert importance("v", halves, "max") is None


def test_equal_objectives_and_values_that_completed_trials_share() -> None:
    count = 30
    flat = np.zeros(count)
    done = np.arange(count) < 25
    values = [1.0] * 25 + [2.0] * 5
    assert importance("v", [effect("x", values, flat, done)], "max") is None
    assert importance("v", [effect("x", list(range(count)), flat)], "max") is None
    # Seven are level at the top, so all seven are the best.
    level = importance("v", [effect("x", list(range(count)), np.minimum(np.arange(count), 23.0))], "max")
    assert level is not None
    assert (level.best, level.shares) == (7, {"x": pytest.approx(1)})


def test_a_run(make_run: MakeRun, capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    data = read_run(make_run(search=60, seeds=(), variants={"resnet18": 0.9}))
    one = importance("resnet18", effects(data, "resnet18"), data.search_mode)
    assert one is not None
    with drawing():
        chart = importance_chart(data, one, "i")
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
    assert next(iter(one.shares)) == "learning_rate"
    assert chart.alt.startswith("Learning_rate mattered most to macro F1 of resnet18: 0.")
    assert "the best 5 of 40 completed trials" in chart.caption
    assert "proves no cause" in chart.caption
    assert ">learning_rate<" in chart.svg

"""What the search tried: found, told apart, correlated."""

from collections.abc import Callable

import pytest
from scipy import stats

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.hyperparameters import effects
from orchestrator.report.numbers.run_data import read_run

MakeRun = Callable[..., RunFolder]


def test_only_what_varied_is_an_effect(make_run: MakeRun) -> None:
    data = read_run(make_run(search=12, seeds=()))
    found = {one.parameter: one for one in effects(data, "resnet18")}
    assert set(found) == {"learning_rate", "dropout", "optimizer", "weight_decay"}
    assert {name for name, one in found.items() if one.numeric} == {"learning_rate", "dropout", "weight_decay"}
    assert found["learning_rate"].logarithmic
    assert not found["dropout"].logarithmic
    assert not found["optimizer"].logarithmic


def test_correlation_is_over_completed_trials(make_run: MakeRun) -> None:
    data = read_run(make_run(search=12, seeds=()))
    done = [one for one in data.search["resnet18"] if one.status == "completed"]
    assert 0 < len(done) < 12
    expected = stats.spearmanr(
        [one.config["dropout"] for one in done], [one.metrics["macro_f1"] for one in done]
    ).statistic
    found = {one.parameter: one for one in effects(data, "resnet18")}["dropout"]
    assert found.spearman == pytest.approx(expected)
    best = data.best_trial("resnet18")
    assert best is not None
    assert found.best == best.config["dropout"]


def test_few_trials_give_no_correlation(make_run: MakeRun) -> None:
    data = read_run(make_run(search=4, seeds=()))
    assert all(one.spearman is None for one in effects(data, "resnet18"))

"""Parallel coordinates: which trials are drawn, and where."""

import re
from collections.abc import Callable

import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.figures.parallel import MOST_LINES, parallel_chart
from orchestrator.report.figures.svg import drawing
from orchestrator.report.numbers.hyperparameters import effects
from orchestrator.report.numbers.run_data import read_run

MakeRun = Callable[..., RunFolder]


def paths(svg: str) -> list[str]:
    """The trials' lines, by their colours; those of axes are grey."""
    found = re.findall(r'<path d="([^"]*)"[^>]*stroke: var\(--(?:blue|orange)\)', svg.replace("\n", " "))
    return [one for one in found if one.count("L") > 1]


def test_few_trials_are_all_drawn(make_run: MakeRun) -> None:
    data = read_run(make_run(search=30, seeds=(), variants={"resnet18": 0.9}))
    with drawing():
        chart = parallel_chart(data, "resnet18", effects(data, "resnet18"), "p")
    assert chart is not None
    assert len(paths(chart.svg)) == 20
    assert " 20 completed trials." in chart.caption
    best = data.best_trial("resnet18")
    assert best is not None
    assert f"orange is the best, {best.metrics['macro_f1']:.3f}" in chart.caption
    assert f"optimizer {best.config['optimizer']}" in chart.alt
    # The best is drawn last, so on top, and ends at the top of the last axis.
    top = [float(pair.split()[1]) for pair in re.findall(r"[ML] ([\d.]+ [\d.]+)", paths(chart.svg)[-1])]
    ends = [[float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", one)][-1] for one in paths(chart.svg)]
    assert top[-1] == min(ends)
    assert chart.svg.rindex("var(--orange)") > chart.svg.rindex("stroke: var(--blue)")


def test_many_trials_are_sampled_and_said(make_run: MakeRun) -> None:
    data = read_run(make_run(search=240, seeds=(), variants={"pca_logistic": 0.5}))
    with drawing():
        chart = parallel_chart(data, "pca_logistic", effects(data, "pca_logistic"), "p")
    assert chart is not None
    assert len(paths(chart.svg)) == MOST_LINES
    assert "100 of 240 completed trials are drawn: the best 20, and the others evenly by rank." in chart.caption


@pytest.mark.parametrize(("search", "parameters"), [(4, 2), (30, 1)])
def test_too_little_to_draw(make_run: MakeRun, search: int, parameters: int) -> None:
    data = read_run(make_run(search=search, seeds=(), variants={"pca_logistic": 0.5}))
    with drawing():
        assert parallel_chart(data, "pca_logistic", effects(data, "pca_logistic")[:parameters], "p") is None


def test_lower_is_better_stands_higher(make_run: MakeRun) -> None:
    run = make_run(search=10, seeds=(), variants={"pca_logistic": 0.5}, objective={"metric": "macro_f1", "mode": "min"})
    data = read_run(run)
    with drawing():
        chart = parallel_chart(data, "pca_logistic", effects(data, "pca_logistic"), "p")
    assert chart is not None
    ends = [[float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", one)][-1] for one in paths(chart.svg)]
    assert ends[-1] == min(ends)
    least = min(one.metrics["macro_f1"] for one in data.search["pca_logistic"])
    assert f"orange is the best, {least:.3f}" in chart.caption


def test_a_hyperparameter_that_some_trials_lack(make_run: MakeRun) -> None:
    data = read_run(make_run(search=8, seeds=(), variants={"pca_logistic": 0.5}))
    found = effects(data, "pca_logistic")
    shorter = [type(one)(**{**vars(one), "trials": one.trials[1:], "values": one.values[1:]}) for one in found]
    with drawing():
        chart = parallel_chart(data, "pca_logistic", [found[0], shorter[1]], "p")
    assert chart is not None
    assert "A line breaks where a trial has no such hyperparameter." in chart.caption

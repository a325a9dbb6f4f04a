"""The figures of a search and of training: what is drawn, and what is said of it."""

from collections.abc import Callable

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.figures.learning_figures import loss_chart, metric_chart
from orchestrator.report.figures.search_figures import effect_chart, history_chart
from orchestrator.report.figures.svg import drawing
from orchestrator.report.numbers.hyperparameters import effects
from orchestrator.report.numbers.run_data import read_run

MakeRun = Callable[..., RunFolder]


def test_many_trials_are_thinned_and_said(make_run: MakeRun) -> None:
    data = read_run(make_run(search=350, seeds=(), variants={"resnet18": 0.8}))
    with drawing():
        effect = effect_chart(data, effects(data, "resnet18")[0], "e")
        curves = metric_chart(data, "resnet18", [], "m")
    assert "300 of 350 trials are drawn" in effect.caption
    assert curves is not None
    assert "30 of 350 trials are drawn" in curves.caption


def test_a_search_that_only_failed_has_a_figure(make_run: MakeRun) -> None:
    run = make_run(search=0, seeds=(), then=lambda builder: builder.trial("resnet18", 0, "out-of-memory"))
    with drawing():
        chart = history_chart(read_run(run), "resnet18", "h")
    assert chart is not None
    assert "0 completed, 0 pruned, 1 failed" in chart.caption
    assert "No trial completed" in chart.caption


def test_the_words_say_the_finding(make_run: MakeRun) -> None:
    data = read_run(make_run(search=12, variants={"resnet18": 0.9}))
    cells = data.completed["resnet18"]
    with drawing():
        losses = loss_chart("resnet18", cells, "l")
        metric = metric_chart(data, "resnet18", cells, "m")
        history = history_chart(data, "resnet18", "h")
    assert losses is not None
    assert metric is not None
    assert history is not None
    first, last = (sum(one.history[row]["train_loss"] for one in cells) / 3 for row in (0, -1))
    assert f"train loss {first:.3g} to {last:.3g}; validation loss" in losses.alt
    every = [*data.search["resnet18"], *cells]
    best = max(row["macro_f1"] for one in every for row in one.history)
    assert f"the best value is {best:.3f}" in metric.alt
    assert "12 trials of the search, 4 of them stopped early and 3 evaluated seeds." in metric.caption
    assert "Triangles: where a trial was stopped." in metric.caption
    assert "8 completed, 4 pruned, 0 failed" in history.caption
    assert [one.of for one in (losses, metric, history)] == [
        ("losses", "resnet18"), ("metric", "resnet18"), ("search", "resnet18"),
    ]  # fmt: skip

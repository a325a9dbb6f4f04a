"""Histograms of scores with every threshold: what they draw is what the kept scores say."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.figures.learning_figures import loss_chart
from orchestrator.report.figures.score_figures import score_chart
from orchestrator.report.figures.svg import drawing
from orchestrator.report.numbers.predictions import VariantScores, read_scores
from orchestrator.report.numbers.run_data import RunData, read_run
from orchestrator.report.numbers.thresholds import BOUND, fitted

MakeRun = Callable[..., RunFolder]


def scores_of(data: RunData) -> dict[str, VariantScores]:
    return {name: kept for name in data.variants if (kept := read_scores(data, data.completed[name])[0]) is not None}


def test_the_histogram_counts_what_is_above_the_threshold(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0))
    kept = scores_of(data)["vae"]
    with drawing():
        chart = score_chart(data, "vae", kept, "s")
    assert chart is not None
    record = data.completed["vae"][0]
    found, alarms = round(60 * record.metrics["tpr"]), round(60 * (1 - record.metrics["tnr"]))
    assert f"{found} of 60 anomalies and {alarms} of 60 normal pictures" in chart.caption
    assert all(name in chart.svg for name in (">normal<", ">anomaly<", ">threshold<"))


def test_scores_without_spread_or_threshold(make_detection_run: MakeRun) -> None:
    run = make_detection_run(search=0, seeds=(), then=lambda builder: builder.cell("vae", 0, threshold=None))
    data = read_run(run)
    kept = scores_of(data)["vae"]
    with drawing():
        chart = score_chart(data, "vae", kept, "s")
        assert chart is not None
        assert "No threshold was kept" in chart.caption
        assert ">threshold<" not in chart.svg
        same = VariantScores(**{**vars(kept), "scores": np.ones_like(kept.scores)})
        assert score_chart(data, "vae", same, "s") is None


def test_every_threshold_has_a_numbered_tick(make_detection_run: MakeRun) -> None:
    strategies = ["percentile(95)", "percentile(99)", "max_normal", "youden", "mean_std(3)", "max_anomaly(50)"]
    data = read_run(make_detection_run(search=0, threshold={"strategies": strategies, "metric": "balanced_accuracy"}))
    kept = scores_of(data)["vae"]
    record = data.completed["vae"][0]
    with drawing():
        chart = score_chart(data, "vae", kept, "s")
    assert chart is not None
    assert record.threshold is not None
    lines = fitted(data, record, kept.validation[0])
    key = chart.caption.partition(" Ticks: ")[2].partition(". All are fitted")[0]
    named = [re.sub(r"^\d+ ", "", one) for one in key.split("; ")]
    names = [name for one in named for name in re.sub(r" \((in use|off the axis)\)", "", one).split(" = ")]
    assert sorted(names) == sorted([*lines, BOUND])
    # From left to right, and the one in use among them.
    assert [name for name in names if name in lines] == sorted(lines, key=lambda name: lines[name])
    assert next(one for one in named if "(in use)" in one).startswith(record.threshold.strategy)
    assert "(off the axis)" in next(one for one in named if one.startswith("max_anomaly"))
    ticks = re.findall(r"<text [^>]*>(\d)</text>", chart.svg)
    assert [str(place) for place in range(1, len(named) + 1)] == ticks[-len(named) :]


@pytest.mark.parametrize("anomalies", [True, False])
def test_losses_of_normals_and_anomalies_stand_apart(make_detection_run: MakeRun, anomalies: bool) -> None:
    data = read_run(make_detection_run(search=0, anomalies=anomalies))
    with drawing():
        chart = loss_chart("vae", data.completed["vae"], "l", "detection")
    assert chart is not None
    assert all(f">{name}<" in chart.svg for name in ("training", "normals"))
    assert (">anomalies<" in chart.svg) == anomalies

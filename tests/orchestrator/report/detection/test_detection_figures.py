"""The figures of detection: what they draw is what the kept scores say."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.report.detection_figures import curve_charts, score_chart
from orchestrator.report.figures import loss_chart
from orchestrator.report.predictions import VariantScores, read_scores
from orchestrator.report.run_data import RunData, read_run
from orchestrator.report.svg import drawing
from orchestrator.run_folder import RunFolder

MakeRun = Callable[..., RunFolder]


def scores_of(data: RunData) -> dict[str, VariantScores]:
    return {name: kept for name in data.variants if (kept := read_scores(data, name)[0]) is not None}


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


def test_curves_of_all_variants(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0))
    with drawing():
        roc, precision = curve_charts(data, scores_of(data))
    assert "thin: each seed" in roc.caption
    assert "Dots: the chosen thresholds" in roc.caption
    assert all(f">{name}<" in chart.svg for chart in (roc, precision) for name in ("pca", "vae"))
    assert roc.alt == "ROC curves of pca, vae."


def test_a_perfect_detector_goes_through_the_corner(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0, seeds=(0,), variants={"pca": 60.0}))
    with drawing():
        roc, precision = curve_charts(data, scores_of(data))
    # Every point of its mean precision lies on one height.
    path = max(re.findall(r'<path d="([^"]*)"[^>]*stroke: var\(--faint\)', precision.svg.replace("\n", " ")), key=len)
    heights = {pair.split()[1] for pair in re.findall(r"[ML] ([\d.]+ [\d.]+)", path)}
    assert len(heights) == 1
    assert "one seed" in roc.caption


def test_many_variants_keep_the_baseline(make_detection_run: MakeRun) -> None:
    variants = {**{f"vae-{row}": 1.0 for row in range(10)}, "pca": 1.0}
    data = read_run(make_detection_run(search=0, seeds=(0,), variants=variants))
    with drawing():
        roc, _ = curve_charts(data, scores_of(data))
    assert "The first 8 of 11 variants are drawn." in roc.caption
    assert ">pca<" in roc.svg
    assert ">vae-6<" in roc.svg
    assert ">vae-7<" not in roc.svg


def test_one_class_has_no_curve(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0, seeds=(0,)))
    kept = scores_of(data)["vae"]
    alone = VariantScores(**{**vars(kept), "labels": np.zeros_like(kept.labels)})
    with drawing():
        assert curve_charts(data, {"vae": alone}) == []


@pytest.mark.parametrize("anomalies", [True, False])
def test_losses_of_normals_and_anomalies_stand_apart(make_detection_run: MakeRun, anomalies: bool) -> None:
    data = read_run(make_detection_run(search=0, anomalies=anomalies))
    with drawing():
        chart = loss_chart("vae", data.completed["vae"], "l", "detection")
    assert chart is not None
    assert all(f">{name}<" in chart.svg for name in ("training", "normals"))
    assert (">anomalies<" in chart.svg) == anomalies

"""ROC and precision-recall curves: what they draw is what the kept scores say."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.document import Chart
from orchestrator.report.figures.curve_figures import curve_charts, curve_frame, read_curves
from orchestrator.report.figures.svg import drawing
from orchestrator.report.numbers.predictions import VariantScores, read_scores
from orchestrator.report.numbers.run_data import RunData, read_run
from orchestrator.scoring.curve_bands import RATES

MakeRun = Callable[..., RunFolder]


def scores_of(data: RunData) -> dict[str, VariantScores]:
    return {name: kept for name in data.variants if (kept := read_scores(data, data.completed[name])[0]) is not None}


def drawn(data: RunData, scores: dict[str, VariantScores]) -> list[Chart]:
    with drawing():
        return curve_charts(data, scores, read_curves(scores))


def test_curves_of_all_variants(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0))
    roc, precision = drawn(data, scores_of(data))
    assert "mean over seeds. Band: 95 % at each rate, over 500 bootstrap draws of source pictures" in roc.caption
    assert "each of a training with one of the seeds" in roc.caption
    assert "Dots: the chosen thresholds" in roc.caption
    assert all(f">{name}<" in chart.svg for chart in (roc, precision) for name in ("pca", "vae"))
    areas = {name: np.mean([one.metrics["roc_auc"] for one in data.completed[name]]) for name in ("pca", "vae")}
    assert roc.alt == f"ROC curves. The areas below them: pca {areas['pca']:.3f}; vae {areas['vae']:.3f}."
    assert roc.svg.count("fill-opacity: 0.16") == 2


def test_the_frame_holds_every_curve(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0))
    frame = curve_frame(read_curves(scores_of(data)))
    assert len(frame) == 2 * (2 * len(RATES) - 1)
    roc = frame[(frame["curve"] == "roc") & (frame["variant"] == "vae")]
    mean = np.mean([one.metrics["roc_auc"] for one in data.completed["vae"]])
    assert np.trapezoid(roc["value"], roc["rate"]) == pytest.approx(mean, abs=0.01)
    assert (frame["low"] <= frame["high"]).all()
    assert curve_frame({}).empty


def test_a_perfect_detector_goes_through_the_corner(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0, seeds=(0,), variants={"pca": 60.0}))
    roc, precision = drawn(data, scores_of(data))
    # Every point of its mean precision lies on one height.
    path = max(re.findall(r'<path d="([^"]*)"[^>]*stroke: var\(--faint\)', precision.svg.replace("\n", " ")), key=len)
    heights = {pair.split()[1] for pair in re.findall(r"[ML] ([\d.]+ [\d.]+)", path)}
    assert len(heights) == 1
    assert "one seed" in roc.caption
    assert "with one of the seeds" not in roc.caption


def test_many_variants_keep_the_baseline(make_detection_run: MakeRun) -> None:
    variants = {**{f"vae-{row}": 1.0 for row in range(10)}, "pca": 1.0}
    data = read_run(make_detection_run(search=0, seeds=(0,), variants=variants))
    roc, _ = drawn(data, scores_of(data))
    assert "The first 8 of 11 variants are drawn." in roc.caption
    assert "Band of vae-0 and pca:" in roc.caption
    assert roc.svg.count("fill-opacity: 0.16") == 2
    assert ">pca<" in roc.svg
    assert ">vae-6<" in roc.svg
    assert ">vae-7<" not in roc.svg


def test_one_class_has_no_curve(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0, seeds=(0,)))
    kept = scores_of(data)["vae"]
    alone = VariantScores(**{**vars(kept), "labels": np.zeros_like(kept.labels)})
    assert read_curves({"vae": alone}) == {}
    assert drawn(data, {"vae": alone}) == []


def test_variants_with_other_pictures_have_curves_of_their_own(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0))
    kept = scores_of(data)
    other = VariantScores(**{**vars(kept["vae"]), "paths": kept["vae"].paths[::-1]})
    both = read_curves({"pca": kept["pca"], "vae": other})
    assert list(both) == ["pca", "vae"]
    np.testing.assert_array_equal(both["pca"].roc.low, read_curves({"pca": kept["pca"]})["pca"].roc.low)

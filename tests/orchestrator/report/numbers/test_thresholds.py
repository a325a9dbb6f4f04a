"""Threshold strategies in the report: fitted on validation, judged on test, the upper bound named as one."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.artifacts.records import ThresholdChoice
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.predictions import read_scores
from orchestrator.report.numbers.run_data import RunData, read_run
from orchestrator.report.numbers.thresholds import (
    BOUND,
    compared_by,
    how_chosen,
    overview_table,
    threshold_frame,
    variant_table,
)
from orchestrator.scoring.thresholds import at_threshold, best_possible, parse_strategy

MakeRun = Callable[..., RunFolder]


def frame_of(data: RunData):  # type: ignore[no-untyped-def]
    kept = {name: found for name in data.variants if (found := read_scores(data, data.completed[name])[0]) is not None}
    return threshold_frame(data, kept)


def test_strategies_are_fitted_on_validation_and_judged_on_test(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0))
    frame = frame_of(data).set_index(["variant", "strategy"])
    assert list(frame.loc["vae"].index) == ["percentile(95)", "max_normal", "youden", BOUND]
    figures, bounds = [], []
    for seed in (0, 1):
        with np.load(data.run.predictions("vae", seed)) as kept:
            line = parse_strategy("max_normal").fit(kept["validation_scores"], kept["validation_labels"])
            figures.append(at_threshold(kept["scores"], kept["labels"], line))
            bounds.append(best_possible(kept["scores"], kept["labels"])[0])
    row = frame.loc[("vae", "max_normal")]
    for name in ("tpr", "tnr", "f1", "balanced_accuracy"):
        values = [one[name] for one in figures]
        assert row[name] == pytest.approx(np.mean(values))
        assert row[f"{name}_sd"] == pytest.approx(np.std(values, ddof=1))
    gaps = [bound - one["balanced_accuracy"] for bound, one in zip(bounds, figures, strict=True)]
    assert row["gap"] == pytest.approx(np.mean(gaps))
    assert row["gap_sd"] == pytest.approx(np.std(gaps, ddof=1))
    assert frame.loc[("vae", BOUND), "balanced_accuracy"] == pytest.approx(np.mean(bounds))
    assert (frame["gap"] >= 0).all()


def test_the_one_in_use_is_the_records(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0))
    frame = frame_of(data)
    for variant, cells in data.completed.items():
        ours = frame[frame["variant"] == variant].set_index("strategy")
        chosen = [one.threshold.strategy for one in cells if one.threshold is not None]
        assert {name: chosen.count(name) for name in chosen} == ours["used"][ours["used"] > 0].to_dict()
        if len(set(chosen)) == 1:
            assert ours.loc[chosen[0], "tpr"] == pytest.approx(np.mean([one.metrics["tpr"] for one in cells]))
        table = variant_table(data, frame, variant)
        marked = [row[0].text for row in table.rows if row[1].text]
        assert marked == [name for name in ours.index if name in chosen]
        assert "no one can know it beforehand: chosen on test" in table.rows[-1][0].text


def test_the_overview_has_every_strategy_and_variant(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0))
    table = overview_table(data, frame_of(data), ["vae", "pca"])
    assert list(table.columns) == ["Strategy", "vae", "pca"]
    assert [row[0].text for row in table.rows[:-1]] == ["percentile(95)", "max_normal", "youden"]
    assert table.rows[-1][0].text.startswith(BOUND)
    assert all(any("in use" in row[column].detail for row in table.rows) for column in (1, 2))


def test_normals_only_leaves_out_what_needs_anomalies(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0, anomalies=False, threshold={}))
    frame = frame_of(data)
    strategies = set(frame["strategy"])
    assert {"percentile(95)", "max_normal", BOUND} <= strategies
    assert not strategies & {"youden", "f1_optimal", "midpoint_of_means", "min_anomaly"}
    assert "normal pictures only" in how_chosen(data, True, None)


def test_without_validation_scores_the_recorded_threshold_stands(make_detection_run: MakeRun) -> None:
    def forget(builder) -> None:  # type: ignore[no-untyped-def]
        path = builder.run.predictions("vae", 0)
        with np.load(path) as kept:
            arrays = {name: kept[name] for name in kept.files if not name.startswith("validation")}
        np.savez_compressed(path, **arrays)

    data = read_run(make_detection_run(search=0, seeds=(0,), then=forget))
    ours = frame_of(data).set_index("variant").loc["vae"]
    assert len(ours) == 2
    assert ours["threshold"].iloc[0] == data.completed["vae"][0].threshold.value  # type: ignore[union-attr]


def test_a_strategy_of_another_version_is_shown_by_its_value(make_detection_run: MakeRun) -> None:
    unknown = ThresholdChoice(strategy="of_another_version", value=2.5)
    run = make_detection_run(
        search=0,
        seeds=(),
        threshold={"strategies": ["of_another_version", "youden"]},
        then=lambda builder: builder.cell("vae", 0, threshold=unknown),
    )
    frame = frame_of(read_run(run)).set_index(["variant", "strategy"])
    assert frame.loc[("vae", "of_another_version"), "threshold"] == 2.5
    assert frame.loc[("vae", "of_another_version"), "used"] == 1
    assert frame.loc[("vae", "youden"), "used"] == 0


def test_how_it_was_chosen(make_detection_run: MakeRun) -> None:
    def said(name: str, normals: bool = False, **threshold: object) -> str:
        data = read_run(make_detection_run(name, search=0, seeds=(0,), threshold=threshold))
        return how_chosen(data, normals, compared_by(data, {}))

    assert "balanced accuracy on validation, cross-fitted" in said("a", strategies=["youden", "max_normal"])
    assert "F1 on validation" in said("b", metric="f1")
    assert "the experiment fixed it" in said("c", strategies=["youden"])
    assert "the search drew it" in said("d", search=True)


def test_how_many_folds_compared_follows_for_older_runs_from_labels_and_sources(make_detection_run: MakeRun) -> None:
    def older(builder) -> None:  # type: ignore[no-untyped-def]
        for variant in builder.variants:
            for seed in (0, 1):
                builder.cell(variant, seed, threshold=ThresholdChoice(strategy="youden", value=1.0))

    run = make_detection_run(search=0, seeds=(), then=older)
    split = json.loads(run.split.read_text())

    def compared(validation: int, groups: object) -> int | None:
        pictures = [one for one in split["pictures"] if one[1] != "validation"]
        pictures += [[f"v{row}.png", "validation"] for row in range(validation)]
        run.split.write_text(json.dumps({**split, "pictures": pictures, "groups": groups}))
        data = read_run(run)
        kept = {name: read_scores(data, data.completed[name])[0] for name in data.variants}
        return compared_by(data, {name: found for name, found in kept.items() if found is not None})

    assert compared(60, {}) == 5
    one_source = {f"v{row}.png": "v0.png" for row in range(0, 60, 3)}  # every third one is an anomaly
    assert compared(60, one_source) == 0
    assert "very scores that it is fitted to" in how_chosen(read_run(run), False, 0)
    assert compared(59, {}) is None, "not the part that the labels are of"
    assert compared(60, ["nothing"]) is None
    assert "cross-fitted" not in how_chosen(read_run(run), False, None)

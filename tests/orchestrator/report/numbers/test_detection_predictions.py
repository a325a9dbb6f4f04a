"""The bootstrap of detection: whole source pictures, each cell's own threshold, maps by their histograms."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.leaderboard import leaderboard
from orchestrator.report.numbers.measured import standings
from orchestrator.report.numbers.predictions import read_scores, resample
from orchestrator.report.numbers.run_data import read_run
from orchestrator.scoring.bootstrap import resample_detection
from orchestrator.scoring.pixels import PixelHistograms, resample_pixels

MakeRun = Callable[..., RunFolder]


def rewrite(path: Path, **changed: object) -> None:
    with np.load(path) as kept:
        arrays = dict(kept) | changed
    np.savez_compressed(path, **{name: value for name, value in arrays.items() if value is not None})


def test_ranking_and_metrics(make_detection_run: MakeRun) -> None:
    frame = leaderboard(make_detection_run(masks=True, seeds=(0, 1, 2)))
    assert list(frame["variant"]) == ["vae", "pca"]
    assert list(frame.columns[3:6]) == ["roc_auc", "roc_auc_low", "roc_auc_high"]
    for metric in ("roc_auc", "average_precision", "balanced_accuracy", "f1", "tpr", "tnr", "pixel_roc_auc", "pro_auc"):
        assert (frame[f"{metric}_low"] <= frame[metric]).all()
        assert (frame[f"{metric}_high"] >= frame[metric]).all()
        assert frame[f"{metric}_high"].le(1).all()
    assert frame.loc[0, "outcome"] == "significantly better"


def test_each_cell_is_drawn_at_its_own_threshold(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0))
    kept, _ = read_scores(data, data.completed["vae"])
    assert kept is not None
    assert kept.scores.shape == (2, 120)
    draws, reason = resample(data, data.completed["vae"], kept)
    assert reason == ""
    lines = np.array([one.threshold.value for one in data.completed["vae"] if one.threshold is not None])
    expected = resample_detection(kept.scores, kept.labels, kept.groups, lines)
    assert set(draws) == set(expected)
    np.testing.assert_array_equal(draws["tpr"].values, expected["tpr"].values)
    # The draws scatter about what the record says.
    for place, record in enumerate(data.completed["vae"]):
        assert draws["tpr"].values[:, place].mean() == pytest.approx(record.metrics["tpr"], abs=0.02)


def test_patches_of_one_picture_widen_the_interval(make_detection_run: MakeRun) -> None:
    def clustered(builder) -> None:  # type: ignore[no-untyped-def]
        # Pictures of like scores come from one source.
        path = builder.run.predictions("vae", 0)
        with np.load(path) as kept:
            order = np.lexsort((kept["scores"], kept["labels"]))
        sources = np.empty(len(order), dtype="S8")
        sources[order] = [b"s%d" % (row // 10) for row in range(len(order))]
        rewrite(path, groups=sources)

    def width(run: RunFolder) -> float:
        found = {row.variant: row for row in standings(read_run(run))}["vae"].estimates["roc_auc"]
        assert found.with_pictures
        return found.high - found.low

    alone = make_detection_run("alone", search=0, pictures=240, seeds=(0,))
    grouped = make_detection_run("grouped", search=0, pictures=240, seeds=(0,), then=clustered)
    assert width(grouped) > 1.5 * width(alone)


def test_old_scores_without_groups_are_pictures_on_their_own(make_detection_run: MakeRun) -> None:
    run = make_detection_run(search=0)
    for variant in ("pca", "vae"):
        for seed in (0, 1):
            rewrite(run.predictions(variant, seed), groups=None, validation_scores=None)
    kept, reason = read_scores(data := read_run(run), data.completed["vae"])
    assert reason == ""
    assert kept is not None
    assert sorted(kept.groups) == list(range(120))
    assert kept.validation == (None, None)
    assert leaderboard(run)["p"].notna().any()


def test_maps_are_drawn_with_the_pictures_of_their_rows(make_detection_run: MakeRun) -> None:
    def shuffled(builder) -> None:  # type: ignore[no-untyped-def]
        # Scores and histograms in another order of rows, both of them.
        order = np.random.default_rng(1).permutation(120)
        path = builder.run.predictions("vae", 1)
        with np.load(path) as kept:
            whole = {name for name in kept.files if kept[name].shape[:1] == (120,)}
            rewrite(path, **{name: kept[name][order] for name in whole})
        path = builder.run.pixels("vae", 1)
        old = PixelHistograms.load(path)
        replace(old, normal=old.normal[order], picture=np.argsort(order)[old.picture]).save(path)

    draws = []
    for name, then in (("as_is", None), ("shuffled", shuffled)):
        data = read_run(make_detection_run(name, search=0, masks=True, then=then))
        kept, _ = read_scores(data, data.completed["vae"])
        assert kept is not None
        found, reason = resample(data, data.completed["vae"], kept)
        assert reason == ""
        draws.append(found["pro_auc"].values)
    assert draws[0].shape == (1000, 2)
    np.testing.assert_allclose(draws[0], draws[1])
    assert draws[0].std() > 0


def test_pixel_draws_are_those_of_scoring(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(search=0, masks=True, seeds=(0,)))
    kept, _ = read_scores(data, data.completed["pca"])
    assert kept is not None
    groups = np.array([row // 3 for row in range(120)])
    expected = resample_pixels(
        PixelHistograms.load(data.run.pixels("pca", 0)), np.unique(groups.astype(str), return_inverse=True)[1]
    )
    found, _ = resample(data, data.completed["pca"], kept)
    np.testing.assert_array_equal(found["pixel_roc_auc"].values, expected["pixel_roc_auc"].values)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: run.pixels("vae", 1).unlink(), "histograms of seed 1 are missing"),
        (lambda run: run.pixels("vae", 1).write_bytes(b"no zip"), "histograms of seed 1 can't be read"),
        (lambda run: rewrite(run.predictions("vae", 1), scores=np.full(120, np.inf)), "seed 1 can't be read"),
        (lambda run: rewrite(run.predictions("vae", 1), labels=np.full(120, 2)), "0 for normal or 1"),
        (lambda run: rewrite(run.predictions("vae", 1), scores=np.ones((120, 2))), "one a picture"),
        (lambda run: rewrite(run.predictions("vae", 1), groups=np.array([b"x"])), "1 source pictures for 120"),
    ],
)
def test_what_is_broken_is_said(make_detection_run: MakeRun, damage: Callable[[RunFolder], object], words: str) -> None:
    run = make_detection_run(search=0, masks=True)
    damage(run)
    found = {row.variant: row for row in standings(read_run(run))}["vae"]
    assert words in found.remark
    assert not found.estimates["pro_auc"].with_pictures
    # What is whole goes on to be used.
    assert found.estimates["roc_auc"].with_pictures == ("histograms" in words)


def test_without_a_threshold_only_curves_metrics_have_draws(make_detection_run: MakeRun) -> None:
    run = make_detection_run(search=0, seeds=(), then=lambda builder: builder.cell("vae", 0, threshold=None))
    data = read_run(run)
    kept, _ = read_scores(data, data.completed["vae"])
    assert kept is not None
    assert set(resample(data, data.completed["vae"], kept)[0]) == {"roc_auc", "average_precision"}

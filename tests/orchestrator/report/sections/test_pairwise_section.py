"""DeLong and McNemar on a run's kept scores: against scipy, with missing, foreign and one-sided test parts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.measured import standings
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.numbers.same_pictures import PicturesTest
from orchestrator.report.sections.pairwise_section import pairwise_frame, pairwise_table
from orchestrator.scoring.paired_tests import delong

MakeRun = Callable[..., RunFolder]


def results_of(run: RunFolder) -> dict[str, PicturesTest]:
    return {row.variant: row.pictures_test for row in standings(read_run(run)) if row.pictures_test is not None}


def rewrite(run: RunFolder, variant: str, seed: int, **arrays: Any) -> None:
    path = run.predictions(variant, seed)
    with np.load(path) as kept:
        values = {name: kept[name] for name in kept.files} | arrays
    np.savez_compressed(path, **values)


def test_classifiers_by_mcnemar(make_run: MakeRun) -> None:
    variants = {"pca_logistic": 0.4, "resnet18": 0.9, "resnet18-frozen": 0.5}
    run = make_run(variants=variants, pictures=90, search=0)
    found = results_of(run)
    merged = {}
    for name in ("resnet18", "resnet18-frozen"):
        p_values, differences = [], []
        for seed in (0, 1, 2):
            ours, base = (np.load(run.predictions(one, seed)) for one in (name, "pca_logistic"))
            right, other = (one["scores"].argmax(axis=1) == one["labels"] for one in (ours, base))
            first, second = int((right & ~other).sum()), int((other & ~right).sum())
            p_values.append(float(stats.binomtest(first, first + second).pvalue))
            differences.append((first - second) / 90)
        merged[name] = min(1.0, 2 * sorted(p_values)[1])
        assert [one.p for one in found[name].tests.values()] == pytest.approx(p_values)
        assert found[name].p == pytest.approx(merged[name])
        assert found[name].difference == pytest.approx(np.mean(differences))
    low, high = sorted(merged.values())
    corrected = {low: min(1.0, 2 * low), high: min(1.0, max(2 * low, high))}
    for name, p in merged.items():
        assert found[name].p_corrected == pytest.approx(corrected[p])


def test_detectors_by_delong(make_detection_run: MakeRun) -> None:
    run = make_detection_run(pictures=60, search=0)
    found = results_of(run)["vae"]
    labels = np.load(run.predictions("vae", 0))["labels"]
    expected = [
        delong(*(np.load(run.predictions(one, seed))["scores"] for one in ("vae", "pca")), labels).p for seed in (0, 1)
    ]
    assert [one.p for one in found.tests.values()] == pytest.approx(expected)
    assert found.p == found.p_corrected == pytest.approx(min(1.0, sum(one or 0 for one in expected)))
    assert (found.pictures, found.sources) == (60, 20)


def test_the_section(make_detection_run: MakeRun) -> None:
    data = read_run(make_detection_run(pictures=60, search=0))
    rows = standings(data)
    table, frame = pairwise_table(data, rows, data.baseline, "pairwise"), pairwise_frame(rows, data.baseline, data.task)
    assert table is not None
    assert list(table.columns)[2] == "p (DeLong)"
    for words in (
        "20 source pictures",
        "too small",
        "twice the median",
        "60 test pictures",
        "does not make two",
        "no verdict rests on it",
    ):
        assert words in table.caption
    assert list(frame["seed"]) == [0, 1]
    assert set(frame["test"]) == {"DeLong"}


def test_only_seeds_in_common_count(make_run: MakeRun) -> None:
    run = make_run(pictures=45, search=0, seeds=(0, 1), then=lambda builder: builder.cell("resnet18", 2))
    assert list(results_of(run)["resnet18"].tests) == [0, 1]


def test_pictures_that_differ_are_not_tested(make_run: MakeRun) -> None:
    run = make_run(pictures=45, search=0, seeds=(0,))
    rewrite(run, "resnet18", 0, paths=np.array([f"other{row}".encode() for row in range(45)]))
    found = results_of(run)["resnet18"]
    assert (found.p, found.reason) == (None, "its test pictures are not those of the baseline")
    data = read_run(run)
    table = pairwise_table(data, standings(data), "pca_logistic", "t")
    assert table is not None
    assert table.rows[0][-1].detail == "no test: its test pictures are not those of the baseline"


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_roc(make_detection_run: MakeRun, label: int) -> None:
    run = make_detection_run(pictures=30, search=0, seeds=(0,))
    for variant in ("pca", "vae"):
        rewrite(run, variant, 0, labels=np.full(30, label))
    found = results_of(run)["vae"]
    assert found.p is None
    assert "two pictures of each class" in found.reason


def test_missing_scores_and_a_missing_baseline(make_run: MakeRun) -> None:
    run = make_run(pictures=45, search=0, seeds=(0,))
    run.predictions("pca_logistic", 0).unlink()
    assert "of the baseline, the test scores of seed 0 are missing" in results_of(run)["resnet18"].reason
    other = make_run("other", pictures=45, search=0, seeds=(0,), baseline="nobody")
    assert results_of(other) == {}
    data = read_run(other)
    assert pairwise_table(data, standings(data), data.baseline, "t") is None


def test_one_variant_has_no_section(make_run: MakeRun) -> None:
    data = read_run(make_run(variants={"pca_logistic": 0.5}, pictures=45, search=0, seeds=(0,)))
    rows = standings(data)
    assert pairwise_table(data, rows, data.baseline, "t") is None
    assert pairwise_frame(rows, data.baseline, data.task).empty

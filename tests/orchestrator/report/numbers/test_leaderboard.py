"""The ranking against numbers worked out from the records, and runs that are not whole."""

import json
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from orchestrator.artifacts.records import read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.leaderboard import leaderboard, leaderboard_json, leaderboard_text
from orchestrator.report.numbers.measured import Standing, standings
from orchestrator.report.numbers.run_data import RunData, read_run
from orchestrator.scoring.metric_table import METRICS, metrics_of

MakeRun = Callable[..., RunFolder]


def ranked(run: RunFolder) -> tuple[RunData, list[Standing]]:
    data = read_run(run)
    return data, standings(data)


def values(run: RunFolder, variant: str, metric: str) -> list[float]:
    cells = (one for one in read_records(run.records) if one.stage == "evaluation" and one.variant == variant)
    return [one.metrics[metric] for one in cells]


def test_columns_and_order(whole_run: RunFolder) -> None:
    frame = leaderboard(whole_run)
    columns = [one.name + suffix for one in metrics_of("classification") for suffix in ("", "_low", "_high")]
    assert list(frame.columns[: 3 + len(columns)]) == ["family", "variant", "n_seeds", *columns]
    assert list(frame["variant"]) == ["resnet18", "pca_logistic"]
    assert list(frame["n_seeds"]) == [3, 3]


def test_numbers_are_those_of_the_records(whole_run: RunFolder) -> None:
    run = whole_run
    row = leaderboard(run).set_index("variant").loc["resnet18"]
    ours, base = (np.array(values(run, name, "macro_f1")) for name in ("resnet18", "pca_logistic"))
    assert row["macro_f1"] == pytest.approx(ours.mean())
    assert row["difference"] == pytest.approx((ours - base).mean())
    assert row["p"] < 0.05
    assert row["difference_low"] > 0
    assert row["p_holm"] == pytest.approx(row["p"])
    assert row["probability_better"] > 0.9
    assert row["outcome"] == "significantly better"


def test_the_interval_covers_seeds_and_pictures(whole_run: RunFolder) -> None:
    run = whole_run
    row = leaderboard(run).set_index("variant").loc["resnet18"]
    accuracies = np.array(values(run, "resnet18", "accuracy"))
    seeds = 4.302653 * accuracies.std(ddof=1) / math.sqrt(3)  # Student's table: t(.975, 2)
    scores = [np.load(run.predictions("resnet18", seed)) for seed in (0, 1, 2)]
    hits = np.array([one["scores"].argmax(axis=1) == one["labels"] for one in scores])
    own = (hits - hits.mean(axis=0)).var(axis=1).sum() / 2 / 3  # each seed's own answers, which seeds hold, too
    pictures = 1.98 * math.sqrt(max(0.0, hits.mean(axis=0).var() - own) / hits.shape[1])
    # On the logit scale, where the whole is symmetric.
    low, high = special.logit(row["accuracy_low"]), special.logit(row["accuracy_high"])
    mean = special.expit((low + high) / 2)
    assert (high - low) / 2 * mean * (1 - mean) == pytest.approx(math.hypot(seeds, pictures), rel=0.1)


def test_smaller_is_better_where_the_mode_says_so(make_run: MakeRun) -> None:
    run = make_run(objective={"metric": "log_loss", "mode": "min"})
    frame = leaderboard(run)
    assert frame.columns[3] == "log_loss"
    assert frame["log_loss"].is_monotonic_increasing
    assert frame.loc[0, "outcome"] == "significantly better"
    assert frame.loc[0, "difference"] < 0


def test_without_scores_the_interval_is_of_seeds_and_says_so(make_run: MakeRun) -> None:
    run = make_run(scores=False)
    found = {row.variant: row for row in standings(read_run(run))}["resnet18"]
    one = found.estimates["macro_f1"]
    half = stats.t.ppf(0.975, 2) * stats.sem(values(run, "resnet18", "macro_f1")) / (one.mean * (1 - one.mean))
    middle = special.logit(one.mean)
    assert (one.low, one.high) == pytest.approx((special.expit(middle - half), special.expit(middle + half)))
    assert "missing" in found.remark
    assert "leaves out the choice of test pictures" in one.remark
    assert "no test: the test scores of both" in leaderboard(run).set_index("variant").loc["resnet18", "outcome"]


def test_a_variant_that_failed_stands_last_without_numbers(make_run: MakeRun) -> None:
    def fails(builder) -> None:  # type: ignore[no-untyped-def]
        builder.cell("resnet18", 0, "failed")

    run = make_run(seeds=(), then=lambda builder: (builder.cell("pca_logistic", 0), fails(builder)))
    frame = leaderboard(run)
    assert list(frame["variant"]) == ["pca_logistic", "resnet18"]
    assert list(frame["n_seeds"]) == [1, 0]
    assert frame.loc[1, ["macro_f1", "macro_f1_low", "macro_f1_high"]].isna().all()
    assert frame.loc[1, "outcome"] == "not evaluated"


def test_one_seed_is_not_tested(make_run: MakeRun) -> None:
    frame = leaderboard(make_run(seeds=(0,)))
    assert pd.isna(frame.loc[0, "p"])
    assert "fewer than two seeds" in frame.loc[0, "outcome"]
    assert frame.loc[0, "macro_f1_low"] < frame.loc[0, "macro_f1"] < frame.loc[0, "macro_f1_high"]


def test_search_only_has_no_test_numbers(make_run: MakeRun) -> None:
    run = make_run(seeds=())
    frame = leaderboard(run)
    assert list(frame["n_seeds"]) == [0, 0]
    assert not any(name in frame.columns for name in METRICS)
    text = leaderboard_text(*ranked(run))
    assert "Nothing has been evaluated on the test part yet" in text
    assert "(validation)" in text


def test_json_is_plain(make_run: MakeRun) -> None:
    run = make_run(seeds=(0,))
    read = json.loads(json.dumps(leaderboard_json(*ranked(run)), allow_nan=False))
    assert read["objective"] == {"metric": "macro_f1", "mode": "max"}
    assert read["baseline"] == "pca_logistic"
    assert read["rows"][0]["variant"] == "resnet18"
    assert read["rows"][0]["p"] is None
    assert read["rows"][0]["macro_f1"] == leaderboard(run).loc[0, "macro_f1"]


def test_text_says_not_significant(make_run: MakeRun) -> None:
    run = make_run(variants={"pca_logistic": 0.5, "pca_again": 0.5})
    lines = leaderboard_text(*ranked(run)).splitlines()
    assert len(lines) == 3
    assert "not significant" in leaderboard_text(*ranked(run))

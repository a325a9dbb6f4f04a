"""A run over repeated splits: each has its own division, search and cells; the report is over all of them."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from orchestrator import Experiment, InputError, RunFolder, ablate, compare_runs, open_run, read_records, run, status
from orchestrator import results as results_of
from orchestrator.artifacts.records import TrialRecord
from orchestrator.machine.progress import Reporter
from orchestrator.report.numbers.readings import log_faults, read_often
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.page import write_report
from orchestrator.report.sections.progress import missing

pytestmark = pytest.mark.usefixtures("ray_session")

QUIET = Reporter(quiet=True)
FAMILIES = [
    {"family": "pca_logistic", "name": "many", "space": {"components": [6, 8]}},
    {"family": "pca_logistic", "name": "one", "fixed": {"components": 1}},
]


def experiment(tree: Path, store: Path, split: dict[str, int], **changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "data": {"path": str(tree), "size": 24, "style": "plain", "store": store, "split": split},
        "families": FAMILIES,
        "budget": {"trials": 2, "epochs": 1},
        "seeds": [0, 1],
        "baseline": "one",
        "ablation": {"baseline": "many", "factors": {"components": [1, 2]}},
    }
    return Experiment.from_mapping({**values, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def folded(ray_session: None, series_tree: Path, store: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two folds, each with its own search; tests only read it."""
    return run(experiment(series_tree, store, {"folds": 2}), tmp_path_factory.mktemp("runs") / "folds", reporter=QUIET)


def parts(folder: RunFolder, count: int) -> list[RunFolder]:
    return [folder.of_split(number) for number in range(1, count + 1)]


def keys(folder: RunFolder) -> list[tuple[str, str, int, int]]:
    return [(one.stage, one.variant, one.trial, one.seed) for one in read_records(folder.records)]


def of_stage(folder: RunFolder, stage: str) -> list[TrialRecord]:
    return [record for record in read_records(folder.records) if record.stage == stage]


def test_each_fold_has_its_own_search_cells_and_test_part(folded: RunFolder) -> None:
    tested: list[str] = []
    cells = set()
    for number, part in enumerate(parts(folded, 2), start=1):
        assert len(of_stage(part, "search")) == 4
        evaluated = of_stage(part, "evaluation")
        assert sorted((one.variant, one.seed) for one in evaluated) == [(v, s) for v in ("many", "one") for s in (0, 1)]
        split = json.loads(part.split.read_text(encoding="utf-8"))
        assert {one.provenance.split for one in read_records(part.records)} == {split["fingerprint"]}
        tested += [path for path, name in split["pictures"] if name == "test"]
        scored = np.load(part.predictions("many", 0))["paths"]
        assert {path.decode() for path in scored} == {path for path, name in split["pictures"] if name == "test"}
        cells |= {(one.cell, one.seed) for one in evaluated}
        assert number == read_run(part).split_number
    assert sorted(tested) == sorted(path for path, _ in split["pictures"])
    assert len(cells) == 8


def test_the_ranking_is_over_the_splits(folded: RunFolder) -> None:
    figures = {
        name: [
            np.mean([one.metrics["macro_f1"] for one in of_stage(part, "evaluation") if one.variant == name])
            for part in parts(folded, 2)
        ]
        for name in ("many", "one")
    }
    table = pd.read_csv(folded.report / "tables" / "leaderboard.csv").set_index("variant")
    assert table.loc["many", "macro_f1"] == pytest.approx(np.mean(figures["many"]))
    assert table["n_splits"].tolist() == [2, 2]
    differences = np.subtract(figures["many"], figures["one"])
    assert table.loc["many", "difference"] == pytest.approx(differences.mean())
    tested = json.loads(folded.split.read_text(encoding="utf-8"))["tested"]
    assert tested == pytest.approx(1 / 2)
    error = math.sqrt((1 / 2 + 1) * differences.var(ddof=1))
    half = (table.loc["many", "difference_high"] - table.loc["many", "difference_low"]) / 2
    assert half == pytest.approx(stats.t.ppf(0.975, 1) * error, rel=1e-6)
    page = (folded.report / "report.md").read_text(encoding="utf-8")
    assert "2 splits, each with its own training set and its own search." in page
    assert "One training set, one search" not in page
    assert "corrected resampled t test (Nadeau and Bengio 2003)" in page
    splits = pd.read_csv(folded.report / "tables" / "splits.csv")
    assert splits.loc[splits["variant"] == "many", "test"].to_numpy() == pytest.approx(figures["many"])
    assert results_of(folded)["leaderboard"][0]["n_splits"] == 2


def test_every_split_is_audited_counted_and_whole(folded: RunFolder) -> None:
    data = read_run(folded)
    assert (data.marks, log_faults(data), missing(data)) == ((), [], "")
    # Both families have no randomness: of two seeds one is trained, and reads.
    assert read_often(data) == "The test parts of 2 splits were read 4 times, by 1 command."
    told = status(folded)
    assert told["state"] == "finished"
    assert told["records"] == 16
    assert [(one["of"], one["evaluated"], one["seeds"]) for one in told["variants"]] == [(4, 4, 4)] * 2
    log = folded.of_split(2).test_reads
    kept = log.read_bytes()
    try:
        log.write_bytes(b"".join(kept.splitlines(keepends=True)[1:]))
        assert log_faults(read_run(folded))[0].startswith("Split 2: ")
    finally:
        log.write_bytes(kept)


def test_a_split_is_a_run_of_its_own_for_who_reads_it(folded: RunFolder) -> None:
    part = open_run(folded.of_split(2).root)
    assert part.whole == folded.root
    page = write_report(part, figures=False)
    text = (page.parent / "report.md").read_text(encoding="utf-8")
    assert "This is one of several splits of the run in" in text
    assert "One training set, one search" in text


def test_repeats_that_inherit_winners_go_on_and_grow(series_tree: Path, store: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "families": [FAMILIES[0]],
        "baseline": "",
        "budget": {"trials": 2, "epochs": 1, "searches": "first"},
        "objective": {"winner": "beats_default"},
        "ablation": None,
    }
    plan = experiment(series_tree, store, {"repeats": 2}, **changes)
    folder = run(plan, tmp_path / "run", until="search", reporter=QUIET)
    assert not of_stage(folder, "evaluation")
    assert "0 of 2 models are evaluated" in missing(read_run(folder))
    run(plan, tmp_path / "run", resume=True, reporter=QUIET)
    first, second = parts(folder, 2)
    assert not of_stage(second, "search")
    chosen = json.loads(folder.choice("many").read_text(encoding="utf-8"))["chosen"]
    winner = next(one.config for one in of_stage(first, "search") if one.trial == chosen)
    assert [one.config for part in (first, second) for one in of_stage(part, "evaluation")] == [winner] * 4
    assert not second.choice("many").exists()
    page = (folder.report / "report.md").read_text(encoding="utf-8")
    assert "all train the winners of the first one's search, which has seen pictures that others test on" in page
    before = [part.records.read_bytes() for part in (first, second)]
    more = experiment(series_tree, store, {"repeats": 3}, **changes)
    run(more, tmp_path / "run", resume=True, reporter=QUIET)
    assert [part.records.read_bytes() for part in (first, second)] == before
    assert status(folder)["state"] == "finished"
    # A split that is gone on with by itself trains the first one's winner, too.
    third = folder.of_split(3)
    lines = third.records.read_bytes().splitlines(keepends=True)
    third.records.write_bytes(lines[0])
    run(Experiment.load(third.experiment), third.root, resume=True, until="evaluate", reporter=QUIET)
    assert sorted(keys(third)) == sorted(keys(second))
    # Some of a split is lost: it is told, and a resume makes that and nothing else.
    lost = folder.of_split(3)
    lines = lost.records.read_bytes().splitlines(keepends=True)
    lost.records.write_bytes(lines[0])
    assert missing(read_run(folder)).startswith("Partial: 2 of 3 splits are whole")
    assert status(folder)["state"] == "stopped"
    run(more, tmp_path / "run", resume=True, until="evaluate", reporter=QUIET)
    assert lost.records.read_bytes().startswith(lines[0])
    assert sorted(keys(lost)) == sorted(keys(second))
    with pytest.raises(InputError, match=r"data\.split\.folds"):
        run(experiment(series_tree, store, {"folds": 3}, **changes), tmp_path / "run", resume=True, reporter=QUIET)


def test_one_split_alone_has_no_winners_to_inherit(series_tree: Path, store: Path, tmp_path: Path) -> None:
    budget = {"trials": 1, "epochs": 1, "searches": "first"}
    plan = experiment(series_tree, store, {"repeats": 3, "number": 2}, budget=budget)
    with pytest.raises(InputError, match="2 alone has no first split whose winners it could train"):
        run(plan, tmp_path / "run", reporter=QUIET)
    assert RunFolder(tmp_path).of_split(2).of_split(1) == RunFolder(tmp_path)


def test_records_of_another_split_are_refused(
    folded: RunFolder, series_tree: Path, store: Path, tmp_path: Path
) -> None:
    copy = RunFolder(shutil.copytree(folded.root, tmp_path / "run"))
    copy.of_split(2).records.write_bytes(copy.records.read_bytes())
    with pytest.raises(InputError, match="holds records of another experiment"):
        run(experiment(series_tree, store, {"folds": 2}), copy.root, resume=True, reporter=QUIET)


def test_an_ablation_is_over_the_splits_too(folded: RunFolder, series_tree: Path, store: Path, tmp_path: Path) -> None:
    copy = RunFolder(shutil.copytree(folded.root, tmp_path / "run"))
    ablate(experiment(series_tree, store, {"folds": 2}), copy.root, reporter=QUIET)
    for part in parts(copy, 2):
        assert of_stage(part, "ablation")  # some levels are what the sweep has evaluated under another name
        assert len(of_stage(part, "evaluation")) == 4
    text = (copy.report / "report.md").read_text(encoding="utf-8")
    assert "Ablation: mean over 2 splits of 2 seeds with its 95 % interval" in text
    assert "Partial" not in text
    told = status(copy)["ablation"]
    assert (told["done"], told["of"]) == (12, 12)


def test_two_runs_with_the_same_splits_are_compared_over_them(
    folded: RunFolder, series_tree: Path, store: Path, tmp_path: Path
) -> None:
    plan = experiment(
        series_tree,
        store,
        {"folds": 2},
        families=[{**FAMILIES[0], "fixed": {"C": 1e-6}}],
        baseline="",
        budget={"trials": 1, "epochs": 1},
        ablation=None,
    )
    second = run(plan, tmp_path / "run", until="evaluate", reporter=QUIET)
    found = compare_runs([folded.root, second.root])
    moves = found.values["others"][0]["moves"]
    move = next(one for one in moves if (one["variant"], one["metric"]) == ("many", "macro_f1"))
    figures = [
        [
            np.mean([one.metrics["macro_f1"] for one in of_stage(part, "evaluation") if one.variant == "many"])
            for part in parts(folder, 2)
        ]
        for folder in (folded, second)
    ]
    assert move["difference"] == pytest.approx(np.mean(figures[1]) - np.mean(figures[0]))
    assert "Over 2 splits that both have." in found.text

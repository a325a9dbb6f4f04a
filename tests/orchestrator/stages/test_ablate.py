"""Ablations on small pictures: just what is missing is run, and nothing that a sweep has evaluated is trained again."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from builders.told import Told

from orchestrator import Experiment, load_model
from orchestrator.artifacts.ablation_plan import AblationPlan
from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.machine.progress import Reporter
from orchestrator.report.numbers.measured import measured
from orchestrator.report.numbers.readings import log_faults
from orchestrator.report.numbers.run_data import read_run
from orchestrator.running.run import ablate, run
from orchestrator.scoring.detection import grade_detection
from orchestrator.scoring.thresholds import parse_strategy

pytestmark = pytest.mark.usefixtures("ray_session")

QUIET = Reporter(quiet=True)
SPLIT = {"anomalies_to_validation": 0.3}
FIXED = {"components": 4, "crop": 1.0, "blur": 0.0}


def experiment(tree: Path, ablation: dict[str, Any], **sections: Any) -> Experiment:
    values: dict[str, Any] = {
        "data": {"path": str(tree), "layout": "mvtec", "size": 32, "split": SPLIT, "store": f"{tree}-store"},
        "families": ["pca", {"family": "conv_autoencoder", "fixed": {"architecture": "B", "batch_size": 4}}],
        "threshold": {"strategies": ["youden", "percentile(95)"]},
        "budget": {"trials": 2, "epochs": 1, "concurrent": 1},
        "seeds": [0],
        "ablation": ablation,
    }
    return Experiment.from_mapping({**values, **sections})


def stages(folder: RunFolder) -> list[str]:
    return [record.stage for record in read_records(folder.records)]


def reads(folder: RunFolder) -> int:
    return len(folder.test_reads.read_bytes().splitlines())


def cells(folder: RunFolder) -> dict[str, list[TrialRecord]]:
    """Row -> the completed records of its cell."""
    records = [one for one in read_records(folder.records) if one.stage in ("evaluation", "ablation")]
    plan = AblationPlan.load(folder.ablation)
    return {row.name: [one for one in records if one.cell == row.cell] for row in plan.variants}


def test_more_levels_and_seeds_cost_their_own_cells_and_a_threshold_costs_no_training(
    tile_tree: Path, tmp_path: Path
) -> None:
    given = {"config": FIXED, "baseline_label": "Plain PCA"}
    told = Told()
    first = experiment(tile_tree, {**given, "factors": {"grey": [False, True]}})
    folder = ablate(first, tmp_path / "run", reporter=told)
    assert stages(folder) == ["ablation"] * 2
    assert "ablation: 2 variants x 1 seeds = 2 cells, 0 of them done" in told.lines
    before = folder.records.read_bytes()

    factors = {"grey": [False, True], "threshold": ["youden", "percentile(95)", "max_normal"]}
    more = experiment(tile_tree, {**given, "factors": factors}, seeds=[0, 1])
    ablate(more, tmp_path / "run", reporter=told)
    assert folder.records.read_bytes().startswith(before)
    found = cells(folder)
    assert {name: sorted(one.seed for one in records) for name, records in found.items()} == {
        "Plain PCA": [0, 1],
        "grey: true": [0, 1],
        "threshold: percentile(95)": [0, 1],
        "threshold: max_normal": [0, 1],
    }
    assert "ablation: 4 variants x 2 seeds = 8 cells, 2 of them done" in told.lines
    for name in ("threshold: percentile(95)", "threshold: max_normal"):
        first, second = found[name]
        _check_judged_again(folder, first, found["Plain PCA"][0], name.removeprefix("threshold: "))
        # PCA has no randomness: one model for both seeds, which reads once.
        assert (second.metrics, second.threshold, second.reading) == (first.metrics, first.threshold, first.reading)
    assert reads(folder) == 4

    ablate(more, tmp_path / "run", reporter=told)
    assert len(list(read_records(folder.records))) == 8
    assert reads(folder) == 4
    data = read_run(folder)
    assert log_faults(data) == []
    assert {one.reading for one in data.records} == {one.hash for one in data.readings.found}
    assert "This test part was read 4 times, by 2 commands." in (folder.report / "report.md").read_text()
    said = [line for line in told.lines if line.startswith("ablation:")]
    assert said[-1] == "ablation: 4 variants x 2 seeds = 8 cells, 8 of them done"

    # What was looked at stays counted, through whatever is asked next; what comes back is no more gone.
    for kept, gone in (
        (["youden", "max_normal"], ["threshold: percentile(95)"]),
        (["youden", "percentile(95)"], ["threshold: max_normal"]),
        ([], ["threshold: max_normal", "threshold: percentile(95)"]),
    ):
        asked = {"grey": [False, True], **({"threshold": kept} if kept else {})}
        fewer = experiment(tile_tree, {**given, "factors": asked}, seeds=[0, 1])
        ablate(fewer, tmp_path / "run", reporter=told)
        assert [one.name for one in AblationPlan.load(folder.ablation).removed] == gone
    assert reads(folder) == 4
    assert measured(read_run(folder)).removed == 2


def _check_judged_again(folder: RunFolder, record: TrialRecord, source: TrialRecord, strategy: str) -> None:
    """The same model and scores, and every figure at a threshold is that of the strategy."""
    assert record.facts["scores taken over from"] == source.variant
    assert record.threshold is not None
    assert record.threshold.strategy == strategy
    kept = np.load(folder.predictions(record.variant, record.seed), allow_pickle=False)
    value = parse_strategy(strategy).fit(kept["validation_scores"], kept["validation_labels"])
    loaded = load_model(folder.model(record.variant, record.seed))
    assert record.threshold.value == value == loaded.kept.threshold
    assert loaded.kept.variant == record.variant
    assert grade_detection(kept["scores"], kept["labels"], value).items() <= record.metrics.items()
    assert record.metrics.keys() == source.metrics.keys()
    assert record.files == source.files
    same = ("pixel_roc_auc", "pro_auc", "roc_auc")
    assert [record.metrics[name] for name in same] == [source.metrics[name] for name in same]
    assert record.per_kind.keys() == source.per_kind.keys() == {"hole", "crack"}
    assert record.per_kind["hole"]["pro_auc"] == source.per_kind["hole"]["pro_auc"]
    assert (record.parameters, record.epoch) == (source.parameters, source.epoch)


@pytest.mark.slow
def test_spoiled_scores_are_not_judged_again_but_trained_anew(tile_tree: Path, tmp_path: Path) -> None:
    plan = experiment(tile_tree, {"config": FIXED, "factors": {"grey": [False, True]}})
    folder = ablate(plan, tmp_path / "run", reporter=QUIET)
    (source,) = cells(folder)["pca"]
    with folder.predictions(source.variant, 0).open("ab") as file:
        file.write(b"x")
    told = Told()
    more = {"config": FIXED, "factors": {"threshold": ["youden", "max_normal"]}}
    ablate(experiment(tile_tree, more), tmp_path / "run", reporter=told)
    (record,) = cells(folder)["threshold: max_normal"]
    assert any("test_scores.npz is not the file" in line for line in told.lines)
    assert (record.status, "scores taken over from" in record.facts) == ("completed", False)


@pytest.mark.slow
def test_a_sweep_and_an_ablation_share_their_cells(tile_tree: Path, tmp_path: Path) -> None:
    told = Told()
    factors = {"factors": {"grey": [False, True]}}
    plan = experiment(tile_tree, factors, families=["pca", {"name": "fixed", "family": "pca", "fixed": FIXED}])
    run(plan, tmp_path / "run", reporter=told)
    folder = RunFolder(tmp_path / "run")
    assert sum("orchestrate ablate" in line for line in told.lines) == 1
    assert not folder.ablation.exists()
    swept = stages(folder)
    assert (swept.count("search"), swept.count("evaluation")) == (4, 2)

    ablate(plan, tmp_path / "run", reporter=told)
    assert "ablation: 2 variants x 1 seeds = 2 cells, 1 of them done" in told.lines
    assert stages(folder) == [*swept, "ablation"]
    (baseline,) = cells(folder)["pca"]
    assert (baseline.stage, baseline.variant) == ("evaluation", "pca")

    # The other variant's cell, written in another way and given: the sweep has it.
    again = {"baseline": "pca", "config": {**FIXED, "thumbnail": None, "threshold": "youden"}, **factors}
    ablate(plan.model_copy(update={"ablation": experiment(tile_tree, again).ablation}), tmp_path / "run", reporter=told)
    assert stages(folder) == [*swept, "ablation", "ablation"]
    (baseline,) = cells(folder)["pca"]
    assert (baseline.stage, baseline.variant) == ("evaluation", "fixed")
    run(plan, tmp_path / "run", resume=True, reporter=QUIET)
    assert len(stages(folder)) == len(swept) + 2


@pytest.mark.slow
def test_a_sweep_takes_over_what_an_ablation_trained(tile_tree: Path, tmp_path: Path) -> None:
    families = [{"family": "pca", "fixed": FIXED}]
    given = {"config": {"threshold": "youden"}, "factors": {"grey": [False, True]}}
    plan = experiment(tile_tree, given, families=families, budget={"trials": 1, "epochs": 1}, seeds=[0, 1])
    folder = ablate(plan, tmp_path / "run", reporter=QUIET)
    assert stages(folder) == ["ablation"] * 4
    run(plan, tmp_path / "run", resume=True, reporter=QUIET)
    taken = [record for record in read_records(folder.records) if record.stage == "evaluation"]
    original = cells(folder)["pca"]
    assert [record.seed for record in taken] == [0, 1]
    for record in taken:
        source = next(one for one in original if (one.seed, one.stage) == (record.seed, "ablation"))
        assert record.facts["scores taken over from"] == source.variant
        assert (record.metrics, record.seconds) == (source.metrics, source.seconds)
        assert load_model(folder.model("pca", record.seed)).kept.variant == "pca"


@pytest.mark.slow
def test_each_row_is_tuned_again_where_that_is_asked_for(
    tile_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    ablation = {"factors": {"grey": [False, True], "threshold": ["youden", "max_normal"]}, "tune": 2}
    plan = experiment(tile_tree, ablation, families=["pca", "conv_autoencoder"])
    file = tmp_path / "e.yaml"
    file.write_text(plan.to_yaml(), encoding="utf-8")
    ended = orchestrate("ablate", file, "--out", tmp_path / "run", "--json")
    assert ended.code == 0, ended.err
    folder = RunFolder(tmp_path / "run")
    records = list(read_records(folder.records))
    assert {one.variant for one in records if one.stage == "search"} == {"pca"}
    tunings = [one for one in records if one.stage == "tuning"]
    assert len(tunings) == 4
    found = AblationPlan.load(folder.ablation)
    strategy = found.variants[0].strategy
    assert found.tuned == 2
    assert [(row.changes, row.trials) for row in found.variants] == [
        ({}, 2),
        ({"grey": True}, 2),
        ({"threshold": "max_normal" if strategy == "youden" else "youden"}, 2),
    ]
    for row in found.variants[1:]:
        ours = [one for one in tunings if one.config["grey"] == row.config["grey"] and one.threshold is not None]
        ours = [one for one in ours if one.threshold is not None and one.threshold.strategy == row.strategy]
        assert len(ours) == 2
        best = max(ours, key=lambda one: (one.metrics["roc_auc"], -one.trial))
        assert row.config == best.config
        assert folder.journal(ours[0].variant).exists()
        assert folder.validation_scores(ours[0].variant).exists()
    told = json.loads(ended.out)
    assert told["records"]["tuning"] == {"completed": 4}
    assert {row["variant"] for row in told["ablation"]} == {row.name for row in found.variants}
    status = json.loads(orchestrate("status", folder.root, "--json").out)
    assert (status["state"], status["ablation"]["done"], status["ablation"]["of"]) == ("finished", 3, 3)


@pytest.mark.slow
def test_strategies_choose_epochs_of_their_own_where_trials_are_judged_at_a_threshold(
    tile_tree: Path, tmp_path: Path
) -> None:
    for baseline, own in (("pca", False), ("conv_autoencoder", True)):  # PCA has but one epoch
        given = {"baseline": baseline, "config": {}, "factors": {"threshold": ["youden", "max_normal"]}}
        plan = experiment(tile_tree, given, objective={"metric": "balanced_accuracy"})
        folder = ablate(plan, tmp_path / baseline, reporter=QUIET)
        assert [one.trained for ones in cells(folder).values() for one in ones] == [True, own]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_ended_in_the_middle_it_goes_on_and_loses_nothing(tile_tree: Path, tmp_path: Path, how: signal.Signals) -> None:
    given = {
        "baseline": "conv_autoencoder",
        "config": {},
        "factors": {"bottleneck": [1.0, 0.5, 0.25], "threshold": ["youden", "max_normal"]},
    }
    plan = experiment(tile_tree, given, budget={"epochs": 60, "patience": None, "concurrent": 1}, seeds=[0, 1])
    file, out = tmp_path / "e.yaml", tmp_path / "run"
    file.write_text(plan.to_yaml(), encoding="utf-8")
    command = [sys.executable, "-m", "orchestrator.cli", "ablate", str(file), "--out", str(out), "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    records = out / "records.jsonl"
    deadline = time.monotonic() + 400
    while not list(read_records(records)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(how)
    process.communicate(timeout=200)
    assert process.returncode == (-how if how is signal.SIGKILL else 128 + how)
    before = records.read_bytes()
    assert before.count(b"\n") < 8
    assert AblationPlan.load(out / "ablation.json").seeds == (0, 1)
    again = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    assert records.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    found = list(read_records(records))
    assert {one.status for one in found} == {"completed"}
    assert len(found) == len({(one.cell, one.seed) for one in found}) == 8
    assert not list((out / "states").glob("*"))


def test_bad_input_ends_before_any_work(tile_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]) -> None:
    plan = experiment(tile_tree, {"factors": {"gray": [False, True]}})
    file = tmp_path / "e.yaml"
    file.write_text(plan.to_yaml(), encoding="utf-8")
    ended = orchestrate("ablate", file, "--out", tmp_path / "run")
    assert (ended.code, "Did you mean 'grey'?" in ended.err) == (2, True)
    values = yaml.safe_load(plan.to_yaml())
    file.write_text(yaml.safe_dump({**values, "ablation": None}), encoding="utf-8")
    ended = orchestrate("ablate", file, "--out", tmp_path / "run")
    assert (ended.code, "no `ablation:`" in ended.err) == (2, True)
    assert not (tmp_path / "run").exists()

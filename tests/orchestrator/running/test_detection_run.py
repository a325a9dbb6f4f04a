"""Detection from pictures with masks to the report: what is written, what is judged by what, what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from orchestrator import load_model, write_report
from orchestrator.artifacts.models import ENSEMBLE, KeptEnsemble
from orchestrator.artifacts.records import TrialRecord, append_record, best_record, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import Readings, read_readings
from orchestrator.artifacts.validation_scores import read_scores
from orchestrator.data.split.split import Split
from orchestrator.scoring.thresholds import choose

pytestmark = pytest.mark.usefixtures("ray_session")

SIDE = 32


def data_of(tree: Path, **keys: Any) -> dict[str, Any]:
    """The tree, its pictures kept where every run of these tests finds them."""
    return {"path": str(tree), "layout": "mvtec", "size": SIDE, "store": f"{tree}-store", **keys}


def write(tree: Path, folder: Path, **sections: Any) -> Path:
    values = {
        "data": data_of(tree, split={"anomalies_to_validation": 0.3}),
        "families": ["pca", {"family": "conv_autoencoder", "fixed": {"architecture": "B", "batch_size": 4}}],
        "budget": {"trials": 2, "epochs": 2, "concurrent": 1},
        "seeds": [0, 1],
        **sections,
    }
    file = folder / "e.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return file


def test_from_pictures_to_the_report(tile_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]) -> None:
    out = tmp_path / "run"
    ended = orchestrate("sweep", write(tile_tree, tmp_path, heat_maps=True), "--out", out, "--json")
    assert ended.code == 0, ended.err
    folder = RunFolder(out)
    records = list(read_records(folder.records))
    _check_search([record for record in records if record.stage == "search"], folder)
    cells = [record for record in records if record.stage == "evaluation"]
    assert [(cell.variant, cell.seed, cell.status) for cell in cells if cell.reason] == []
    assert {(cell.variant, cell.seed) for cell in cells} == {
        (variant, seed) for variant in ("pca", "conv_autoencoder") for seed in (0, 1)
    }
    for cell in cells:
        _check_cell(cell, folder)
    page = (folder.report / "index.html").read_text(encoding="utf-8")
    assert "moved" in page
    assert "data:image/" in page
    assert "crack" in page
    readings = read_readings(folder.test_reads, cells[0].provenance.split)
    assert readings == Readings(found=readings.found)
    assert {one.hash for one in readings.found} == {cell.reading for cell in cells}
    assert len(readings.commands) == 1
    assert "This test part was read 3 times, by 1 command." in page  # PCA by its one model
    assert not list(folder.states.glob("*"))
    _resuming_does_nothing_again(orchestrate, tmp_path / "e.yaml", folder)
    _an_ensemble_is_added(orchestrate, tmp_path / "e.yaml", folder)


def _check_search(trials: list[TrialRecord], folder: RunFolder) -> None:
    assert {trial.status for trial in trials} <= {"completed", "pruned"}
    for trial in trials:
        assert trial.threshold is not None
        assert {"roc_auc", "tpr", "tnr", "balanced_accuracy", "f1", "average_precision"} <= trial.metrics.keys()
        assert "pro_auc" not in trial.metrics, "masks are not handed to a search that does not need them"
        scores = read_scores(folder.validation_scores(trial.variant))[trial.trial]
        assert scores.shape == (_parts(folder)["validation"],)
    for variant in ("pca", "conv_autoencoder"):
        assert sorted(trial.trial for trial in trials if trial.variant == variant) == [0, 1]


def _check_cell(cell: TrialRecord, folder: RunFolder) -> None:
    assert {"roc_auc", "pixel_roc_auc", "pro_auc"} <= cell.metrics.keys()
    assert cell.per_kind.keys() == {"hole", "crack"}
    assert cell.threshold is not None
    kept = np.load(folder.predictions(cell.variant, cell.seed), allow_pickle=False)
    parts = _parts(folder)
    assert len(kept["scores"]) == len(kept["kinds"]) == len(kept["groups"]) == parts["test"]
    assert len(kept["validation_scores"]) == parts["validation"]
    loaded = load_model(folder.model(cell.variant, cell.seed))
    assert loaded.kept.threshold == cell.threshold.value
    found = kept["scores"] > cell.threshold.value
    assert cell.metrics["tpr"] == pytest.approx(found[kept["labels"] == 1].mean())
    pictures = sorted(path.name for path in folder.heat_maps(cell.variant, cell.seed).rglob("*.png"))
    assert len(pictures) == 3 * parts["test"]
    gallery = json.loads((folder.gallery(cell.variant, cell.seed) / "gallery.json").read_text())
    assert gallery["galleries"]


def _parts(folder: RunFolder) -> dict[str, int]:
    split = json.loads(folder.split.read_text())
    parts = [part for _, part in split["pictures"]]
    return {part: parts.count(part) for part in set(parts)}


def _resuming_does_nothing_again(orchestrate: Callable[..., Any], file: Path, folder: RunFolder) -> None:
    before = folder.records.read_bytes()
    ended = orchestrate("sweep", file, "--out", folder.root, "--resume", "--quiet", "--until", "evaluate")
    assert ended.code == 0, ended.err
    assert folder.records.read_bytes() == before
    status = orchestrate("status", folder.root, "--json")
    found = json.loads(status.out)
    assert (found["state"], found["records"]) == ("finished", before.count(b"\n"))
    assert [one["evaluated"] for one in found["variants"]] == [2, 2]


def _an_ensemble_is_added(orchestrate: Callable[..., Any], file: Path, folder: RunFolder) -> None:
    before = list(read_records(folder.records))
    names = ("pca", "conv_autoencoder")
    entry = f"ensembles=[{{name: both, of: [{', '.join(names)}], weights: validation}}]"
    ended = orchestrate("sweep", file, "--out", folder.root, "--resume", "--until", "evaluate", "--set", entry)
    assert ended.code == 0, ended.err
    first, second = list(read_records(folder.records))[len(before) :]
    assert [(one.variant, one.seed, one.status) for one in (first, second)] == [
        ("both", 0, "completed"),
        ("both", 1, "completed"),
    ]
    kept = KeptEnsemble.model_validate_json((folder.model("both", 0) / ENSEMBLE).read_bytes())
    mean = np.zeros(len(np.load(folder.predictions("both", 0))["scores"]))
    for name, member in zip(names, kept.members, strict=True):
        scores = np.load(folder.predictions(name, 0))
        normal = scores["validation_scores"][scores["validation_labels"] == 0]
        assert member.center == np.median(normal)
        assert member.scale == pytest.approx(1.4826 * np.median(np.abs(normal - np.median(normal))))
        mean += member.weight * (scores["scores"] - member.center) / member.scale
    assert sum(one.weight for one in kept.members) == pytest.approx(1)
    np.testing.assert_allclose(np.load(folder.predictions("both", 0))["scores"], mean, rtol=1e-9, atol=1e-12)
    assert first.threshold is not None
    assert kept.threshold == first.threshold.value
    assert not {"pro_auc", "pixel_roc_auc"} & first.metrics.keys()
    assert first.per_kind.keys() == {"crack", "hole"}
    assert first.facts["ensemble shares"].startswith("selected by roc_auc on validation: pca ")
    page = write_report(folder, figures=False).read_text(encoding="utf-8")
    assert "Judged together, by the scores that are kept of each: both" in page


def test_with_normals_only_nothing_is_chosen_by_a_detection_metric(
    tile_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    fixed = {"components": 4, "crop": 1.0, "blur": 0.0}
    file = write(
        tile_tree,
        tmp_path,
        data=data_of(tile_tree),
        families=[{"family": "pca", "fixed": fixed}],
        seeds=[0],
        budget={"trials": 1},
    )
    ended = orchestrate("sweep", file, "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "normal pictures only" in ended.err
    records = list(read_records(tmp_path / "run" / "records.jsonl"))
    search = [record for record in records if record.stage == "search"]
    assert all("validation_loss" in record.metrics and "roc_auc" not in record.metrics for record in search)
    (cell,) = (record for record in records if record.stage == "evaluation")
    assert cell.threshold is not None
    assert cell.threshold.strategy == "percentile(95)"
    assert "roc_auc" in cell.metrics


def test_a_search_by_loss_may_not_choose_what_the_loss_means(
    tile_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    ended = orchestrate(
        "sweep", write(tile_tree, tmp_path, data=data_of(tile_tree), families=["pca"]), "--out", tmp_path / "run"
    )
    assert ended.code == 2
    assert "fixed: {components: " in ended.err
    assert not (tmp_path / "run").exists()


def test_the_strategy_can_be_drawn_by_the_search(
    tile_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    threshold = {"search": True, "strategies": ["max_normal", "youden", "percentile(80)"]}
    file = write(
        tile_tree, tmp_path, families=["pca"], threshold=threshold, seeds=[0], budget={"trials": 2, "concurrent": 2}
    )
    ended = orchestrate("sweep", file, "--out", tmp_path / "run", "--quiet", "--until", "evaluate")
    assert ended.code == 0, ended.err
    records = list(read_records(tmp_path / "run" / "records.jsonl"))
    drawn = [one.threshold.strategy for one in records if one.threshold and one.stage == "search"]
    assert len(drawn) == 2
    assert set(drawn) <= set(threshold["strategies"])  # type: ignore[call-overload]
    best = best_record([one for one in records if one.stage == "search"], "balanced_accuracy", "max")
    (cell,) = (one for one in records if one.stage == "evaluation")
    assert best is not None
    assert cell.threshold is not None
    assert best.threshold is not None
    assert cell.threshold.strategy == best.threshold.strategy
    folder = RunFolder(tmp_path / "run")
    for one in records:
        assert one.cross_fitted == 4
        assert one.threshold is not None
        assert one.threshold.folds == 4
    for one in (one for one in records if one.stage == "search"):
        assert one.metrics["balanced_accuracy"] == _balanced_accuracy(folder, one)[0]
    write_report(folder, figures=False)
    assert "judged by balanced accuracy on validation, cross-fitted" in (folder.report / "report.md").read_text()
    _goes_on_as_an_earlier_version_began_it(file, folder, orchestrate)


def _balanced_accuracy(folder: RunFolder, trial: TrialRecord) -> tuple[float, float]:
    """Of a trial's strategy on its kept validation scores: cross-fitted, and at the threshold fitted to all of them."""
    scores = read_scores(folder.validation_scores(trial.variant))[trial.trial]
    split = Split.load(folder.split)
    names = [split.paths[row] for row in split.validation]
    labels = np.array([not name.startswith(("train/good", "test/good")) for name in names], dtype=np.int64)
    groups = np.unique([split.groups[row] for row in split.validation], return_inverse=True)[1]
    assert trial.threshold is not None
    found = choose(scores, labels, (trial.threshold.strategy,), groups=groups)
    return found.compared[found.strategy], found.metrics["balanced_accuracy"]


def _goes_on_as_an_earlier_version_began_it(file: Path, folder: RunFolder, orchestrate: Callable[..., Any]) -> None:
    """Its trials keep their seed, which is a final one, and their figures at the threshold that is fitted to them."""
    records = list(read_records(folder.records))
    folder.records.unlink()
    for one in records:
        older = {"seed": 0} if one.stage == "search" else {}
        append_record(folder.records, one.model_copy(update={"cross_fitted": 0, **older}))
    more = ("--set", "budget.trials=4", "--set", "seeds=0,1", "--until", "evaluate")
    ended = orchestrate("sweep", file, "--out", folder.root, "--resume", "--quiet", *more)
    assert ended.code == 0, ended.err
    added = list(read_records(folder.records))[len(records) :]
    trials = [one for one in added if one.stage == "search"]
    assert {(one.trial, one.seed) for one in trials} == {(2, 0), (3, 0)}
    assert {one.cross_fitted for one in added} == {0}
    both = [_balanced_accuracy(folder, one) for one in trials]
    assert [one.metrics["balanced_accuracy"] for one in trials] == [fitted for _, fitted in both]
    write_report(folder, figures=False)
    assert "as an earlier version began this run" in (folder.report / "report.md").read_text()


def test_one_known_anomaly_is_judged_by_itself_and_nothing_calls_that_cross_fitted(
    tile_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    tree = tmp_path / "tile"
    shutil.copytree(tile_tree, tree)
    for part in ("test", "ground_truth"):
        shutil.rmtree(tree / part / "crack")
    file = write(
        tree,
        tmp_path,
        data=data_of(tree, split={"anomalies_to_validation": 0.1}),
        families=["pca"],
        objective={"metric": "balanced_accuracy"},
        seeds=[0],
        budget={"trials": 1},
    )
    ended = orchestrate("sweep", file, "--out", tmp_path / "run", "--until", "evaluate")
    assert ended.code == 0, ended.err
    write_report(RunFolder(tmp_path / "run"), figures=False)
    assert "judged at thresholds that are fitted to the very scores they are judged by" in " ".join(ended.err.split())
    folder = RunFolder(tmp_path / "run")
    for one in read_records(folder.records):
        assert one.threshold is not None
        assert (one.cross_fitted, one.threshold.folds) == (0, 0)
    said = (folder.report / "report.md").read_text(encoding="utf-8")
    assert "cross-fitted" not in said + ended.err + ended.out
    assert "since validation holds too few known anomalies to fit to some and judge by others" in said
    assert "each strategy judged on the very scores that it is fitted to" in said

"""What a command prints of a run: its leaderboard and ablation, and what is missing of them."""

import csv
from pathlib import Path

import pytest
from builders.classification_runs import RunBuilder

from orchestrator import Experiment, RunFolder
from orchestrator.artifacts.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.artifacts.records import append_record, read_records
from orchestrator.experiment.settings import digest
from orchestrator.running.ablation_progress import told_by_a_sweep
from orchestrator.running.results import result_json, result_text

COLUMNS = ["variant", "C", "metric", "seeds", "mean", "low", "high", "delta", "p", "significant"]


def test_the_ablation_is_printed_by_its_first_metric_whatever_its_names_hold(tmp_path: Path) -> None:
    table = tmp_path / "report" / "tables" / "ablation.csv"
    table.parent.mkdir(parents=True)
    rows = [
        ["base", "1", "macro_f1", "3", "0.500", "0.400", "0.600", "", "", ""],
        ["base", "1", "accuracy", "3", "0.600", "0.500", "0.700", "", "", ""],
        ["a\u202e\nb" + 99 * "x", "2", "macro_f1", "3", "0.700", "0.601", "0.802", "+0.200", "< 0.001", "better"],
        ["a\u202e\nb" + 99 * "x", "2", "accuracy", "3", "0.800", "0.700", "0.900", "+0.200", "0.011", "better"],
    ]
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    text = result_text(RunFolder(tmp_path))
    lines = text.splitlines()
    assert lines[0] == "Ablation of base: macro F1 (test)"
    heads = "variant seeds mean from to (95 %) Δ to baseline p (Holm) significantly"
    assert " ".join(lines[1].split()) == heads
    assert lines[3].split()[-8:] == ["3", "0.700", "0.601", "0.802", "+0.200", "<", "0.001", "better"]
    assert "\\u202e\\nb" in lines[3]
    assert len(lines[3]) < 120
    assert "0.800" not in text
    assert len(result_json(RunFolder(tmp_path))["ablation"]) == 4


@pytest.fixture
def built(tmp_path: Path) -> RunBuilder:
    """A run whose ablation's baseline alone was searched and evaluated, as `ablate` leaves it."""
    builder = RunBuilder(tmp_path / "a run", {"pca_logistic": 0.3, "resnet18": 0.9, "other": 0.5}, ("a", "b"), 20)
    builder.experiment([0, 1])
    builder.trial("resnet18", 0)
    for seed in (0, 1):
        builder.cell("resnet18", seed)
    return builder


def test_what_an_ablation_leaves_to_a_sweep_is_named_with_the_command(built: RunBuilder) -> None:
    text = result_text(built.run)
    said = next(line for line in text.splitlines() if line.startswith("Not searched and evaluated yet"))
    assert "pca_logistic (the baseline)" in said
    assert "other" in said
    assert "resnet18" not in said
    assert f"orchestrate sweep '{built.run.experiment}' --out '{built.run.root}' --resume" in said
    for name in ("pca_logistic", "other"):
        built.trial(name, 0)
        built.cell(name, 0)
    assert "yet" not in result_text(built.run)


def test_what_no_sweep_can_evaluate_is_not_left_to_one(built: RunBuilder) -> None:
    built.trial("pca_logistic", 0)
    built.cell("pca_logistic", 0, status="failed")
    built.trial("other", 0, status="failed")
    assert "Not searched" not in result_text(built.run)


def ablated(built: RunBuilder, **ablation: object) -> Experiment:
    return Experiment.from_mapping({
        "data": {"path": "x"}, "families": ["pca_logistic", "plot_classifier"], "seeds": [0, 1],
        "ablation": {"baseline": "plot_classifier", "factors": {"dropout": [0.0, 0.5]}, **ablation},
    })  # fmt: skip


def test_a_sweep_says_of_an_ablation_what_is_true(built: RunBuilder) -> None:
    folder, asked = built.run, ablated(built)
    assert "Run it on top: orchestrate ablate '" in told_by_a_sweep(asked, folder)
    first = next(iter(read_records(folder.records)))
    row = {"changes": {}, "family": "plot_classifier", "config": {}, "strategy": None, "trials": 1}
    variants = [("base", "1" * 16), ("dropout", "2" * 16), ("fruitless", digest("fruitless"))]
    rows = tuple(AblatedVariant(name=name, cell=cell, folder=name, **row) for name, cell in variants)
    factors = {"dropout": [0.0, 0.5]}
    plan = AblationPlan(
        baseline="plot_classifier", design="one_factor", factors=factors, tuned=None, seeds=(0, 1), variants=rows
    )
    plan.save(folder.ablation)
    assert "4 of 4 cells are missing" in told_by_a_sweep(asked, folder)
    for name, cell in variants[:2]:
        for seed in (0, 1):
            done = {"stage": "ablation", "variant": name, "cell": cell, "seed": seed, "split": "test"}
            append_record(folder.records, first.model_copy(update=done))
    assert "The ablation is done (4 cells)" in told_by_a_sweep(asked, folder)
    assert "on top" not in told_by_a_sweep(asked, folder)
    more = asked.model_copy(update={"seeds": (0, 1, 2)})
    assert "2 of 6 cells are missing" in told_by_a_sweep(more, folder)
    assert "has changed" in told_by_a_sweep(ablated(built, factors={"dropout": [0.0, 0.1]}), folder)
    folder.ablation.write_text("{")
    assert "Run it on top" in told_by_a_sweep(asked, folder)

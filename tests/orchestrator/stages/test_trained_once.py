"""Nothing is trained twice in a run: trainings are counted by families that leave a line for each."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import builders.counted_family
import numpy as np
import pandas as pd
import pytest
import torch
from builders.told import Told

from orchestrator import Experiment, RunFolder, load_model, read_records
from orchestrator.artifacts.records import TRAINING, TrialRecord
from orchestrator.machine.progress import Reporter
from orchestrator.report.numbers.readings import log_faults
from orchestrator.report.numbers.run_data import read_run
from orchestrator.running.run import ablate, run

pytestmark = pytest.mark.usefixtures("ray_session")

QUIET = Reporter(quiet=True)
GRID = {"config": {"shift": 0}, "factors": {"power": [1.0, 2.0], "threshold": ["youden", "max_normal"]}}


@pytest.fixture
def families(tmp_path: Path) -> Path:
    """The file of the families that are counted."""
    file = tmp_path / "counted.py"
    shutil.copyfile(str(builders.counted_family.__file__), file)
    return file


def experiment(tree: Path, file: Path, *names: str, **sections: Any) -> Experiment:
    split = {"anomalies_to_validation": 0.3}
    values: dict[str, Any] = {
        "data": {"path": str(tree), "layout": "mvtec", "size": 32, "split": split, "store": f"{tree}-store"},
        "families": [{"name": name.lower(), "family": f"{file}:{name}"} for name in names],
        "threshold": {"strategies": ["youden", "max_normal"]},
        "budget": {"trials": 1, "epochs": 4, "concurrent": 1},
        "objective": {"metric": "roc_auc", "winner": "best"},
        "seeds": [0, 1, 2],
    }
    return Experiment.from_mapping({**values, **sections})


def fits(families: Path) -> Counter[str]:
    """How often each family was trained since the last call, with which seed."""
    file = families.with_name("fits.txt")
    lines = [line.rsplit(" ", 1)[0] for line in file.read_text().splitlines()] if file.exists() else []
    file.write_text("")
    return Counter(lines)


def of_stage(folder: RunFolder, *stages: str) -> list[TrialRecord]:
    return [one for one in read_records(folder.records) if one.stage in stages]


def test_without_randomness_one_training_serves_all_seeds(tile_tree: Path, tmp_path: Path, families: Path) -> None:
    plan = experiment(tile_tree, families, "PLAIN", "RANDOM")
    folder = run(plan, tmp_path / "run", reporter=QUIET)
    (trial,) = {one.seed for one in of_stage(folder, "search")}
    assert fits(families) == {
        f"Plain {trial}": 1, "Plain 0": 1,
        f"Counted {trial}": 1, "Counted 0": 1, "Counted 1": 1, "Counted 2": 1,
    }  # fmt: skip
    cells = {(one.variant, one.seed): one for one in of_stage(folder, "evaluation")}
    first = cells["plain", 0]
    for seed in (1, 2):
        copy = cells["plain", seed]
        assert copy.facts[TRAINING] == "same as seed 0: the family has no randomness"
        for field in ("metrics", "files", "epoch", "cell", "history", "threshold", "config"):
            assert getattr(copy, field) == getattr(first, field), field
        assert (copy.trained, copy.reading, copy.gpus, copy.peak_memory) == (False, first.reading, 0.0, None)
        kept = load_model(folder.model("plain", seed), trust=[f"{families}:PLAIN"])
        assert (kept.kept.seed, kept.kept.threshold) == (seed, first.threshold and first.threshold.value)
    assert all(one.trained for (variant, _), one in cells.items() if variant == "random")
    assert len({one.files["test_scores.npz"] for (variant, _), one in cells.items() if variant == "random"}) == 3
    # The log has a line for each model that read the test part, and each record names one.
    data = read_run(folder)
    assert [(one.variant, one.seed) for one in data.readings.found].count(("plain", 0)) == 1
    assert len(data.readings.found) == 4
    assert log_faults(data) == []
    assert "This test part was read 4 times, by 1 command." in (folder.report / "report.md").read_text()
    # Cost counts no copies, and what a training takes is not made less by them.
    tables = folder.report / "tables"
    cost = pd.read_csv(tables / "cost.csv").set_index(["variant", "stage"])
    assert cost.loc[("plain", "evaluation"), ["runs", "taken_over"]].tolist() == [1, 2]
    assert cost.loc[("plain", "evaluation"), "seconds_median"] == pytest.approx(first.seconds)
    assert cost.loc[("random", "evaluation"), ["runs", "taken_over"]].tolist() == [3, 0]
    table = pd.read_csv(tables / "leaderboard.csv").set_index("variant")
    assert table.loc["plain", "seconds"] == pytest.approx(first.seconds)
    assert "Runs are trainings; 2 more records took one over" in (folder.report / "report.md").read_text()


def test_a_seed_that_is_added_later_costs_no_training_either(tile_tree: Path, tmp_path: Path, families: Path) -> None:
    one, more = (
        experiment(tile_tree, families, "PLAIN", seeds=seeds, ablation={"config": {}, "factors": {"shift": [0, 1]}})
        for seeds in ([1], [1, 0, 2])
    )
    folder = ablate(one, tmp_path / "run", reporter=QUIET)
    assert fits(families) == {"Plain 1": 2}
    ablate(more, tmp_path / "run", reporter=QUIET)
    assert fits(families) == {}
    facts = [record.facts[TRAINING] for record in of_stage(folder, "ablation") if record.seed != 1]
    assert facts == ["same as seed 1: the family has no randomness"] * 4


def test_a_failed_training_is_a_row_for_every_seed_and_is_tried_again_by_a_resume(
    tile_tree: Path, tmp_path: Path, families: Path
) -> None:
    broken = families.with_name("broken")
    broken.touch()
    plan = experiment(tile_tree, families, "PLAIN", seeds=[0, 1], ablation={"config": {}, "factors": {"shift": [0, 1]}})
    folder = ablate(plan, tmp_path / "run", reporter=QUIET)
    assert fits(families) == {"Plain 0": 2}
    assert [(one.seed, one.status) for one in of_stage(folder, "ablation")] == [(0, "failed")] * 2 + [(1, "failed")] * 2
    assert "shares with another cell failed" in of_stage(folder, "ablation")[-1].reason
    broken.unlink()
    ablate(plan, tmp_path / "run", reporter=QUIET)
    assert fits(families) == {"Plain 0": 2}
    assert [(one.seed, one.status) for one in of_stage(folder, "ablation")[4:]] == [
        (0, "completed"), (0, "completed"), (1, "completed"), (1, "completed")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "trained", "read"), [("RANDOM", {"Counted 0": 1, "Counted 1": 1}, 8), ("PLAIN", {"Plain 0": 1}, 4)]
)
def test_what_scores_otherwise_from_the_same_weights_is_not_trained(
    tile_tree: Path, tmp_path: Path, families: Path, name: str, trained: dict[str, int], read: int
) -> None:
    plan = experiment(tile_tree, families, name, seeds=[0, 1], ablation={**GRID, "design": "factorial"})
    folder = ablate(plan, tmp_path / "run", reporter=QUIET)
    assert fits(families) == trained
    cells = of_stage(folder, "ablation")
    assert {one.status for one in cells} == {"completed"}
    assert len(cells) == 8
    data = read_run(folder)
    assert (len(data.readings.found), log_faults(data)) == (read, [])
    assert len({(one.variant, one.seed) for one in data.readings.found}) == read
    for one in cells:
        model = load_model(folder.model(one.variant, one.seed), trust=[f"{families}:{name}"])
        assert model.kept.config.get("power", 1.0) == one.config.get("power", 1.0)
        with np.load(folder.predictions(one.variant, one.seed)) as kept:
            paths = [tile_tree / path.decode() for path in kept["paths"]]
            np.testing.assert_allclose(model.predict(paths).scores, kept["scores"], rtol=1e-12)
    squared = [one for one in cells if one.config.get("power") == 2.0]
    taken = [one for one in squared if "power changes no weights" in one.facts.get(TRAINING, "")]
    assert taken
    for one in taken:
        assert (one.trained, one.epoch) == (False, 1)
        assert one.history == [{"epoch": 1.0, **one.history[0]}]
        assert "roc_auc" in one.history[0]
        assert "validation_loss" not in one.history[0], "of other scores it would be another"


@pytest.mark.parametrize(("metric", "trainings"), [("roc_auc", 2), ("validation_loss", 1)])
def test_several_epochs_share_weights_only_where_the_loss_chose_the_epoch(
    tile_tree: Path, tmp_path: Path, families: Path, metric: str, trainings: int
) -> None:
    plan = experiment(
        tile_tree, families, "LONG", seeds=[0], objective={"metric": metric, "test_metric": "roc_auc"},
        ablation={"config": {}, "factors": {"power": [1.0, 2.0]}},
    )  # fmt: skip
    folder = ablate(plan, tmp_path / "run", reporter=QUIET)
    assert fits(families) == {"Long 0": trainings}
    plain, squared = of_stage(folder, "ablation")
    assert squared.trained is (trainings == 2)
    if metric == "validation_loss":
        assert (squared.epoch, len(squared.history)) == (plain.epoch, 4)
        assert [row["validation_loss"] for row in squared.history] == [row["validation_loss"] for row in plain.history]
        assert ["roc_auc" in row for row in squared.history] == [row["epoch"] == squared.epoch for row in plain.history]


def test_spoiled_weights_are_trained_anew_and_the_record_says_so(
    tile_tree: Path, tmp_path: Path, families: Path
) -> None:
    one = experiment(tile_tree, families, "RANDOM", seeds=[0], ablation={"config": {}, "factors": {"shift": [0, 1]}})
    folder = ablate(one, tmp_path / "run", reporter=QUIET)
    fits(families)
    for path in folder.models.glob("*/0/weights.pt"):
        torch.save({"mean": torch.zeros(3)}, path)
    more = experiment(
        tile_tree, families, "RANDOM", seeds=[0], ablation={"config": {}, "factors": {"power": [1.0, 2.0]}}
    )
    told = Told()
    ablate(more, tmp_path / "run", reporter=told)
    assert fits(families) == {"Counted 0": 1}
    last = of_stage(folder, "ablation")[-1]
    assert last.trained
    assert "can't be used (weights.pt is not the file" in last.facts[TRAINING]


FIXED = {"shift": 1, "power": 1.0}


def searched(tree: Path, families: Path, name: str, fixed: dict[str, Any], **sections: Any) -> Experiment:
    variant = {"name": "v", "family": f"{families}:{name}", "fixed": fixed}
    threshold = {"strategies": ["youden", "max_normal", "percentile(60)"], "search": True}
    values = {"threshold": threshold, "objective": {"metric": "balanced_accuracy", "winner": "best"}, **sections}
    return experiment(tree, families, families=[variant], **values)


def test_a_search_trains_no_configuration_twice_and_a_strategy_costs_nothing(
    tile_tree: Path, tmp_path: Path, families: Path
) -> None:
    budget = {"trials": 8, "epochs": 4, "concurrent": 1}
    plan = searched(tile_tree, families, "LONG", {"power": 1.0}, budget=budget, scheduler="none")
    folder = run(plan, tmp_path / "run", until="search", reporter=QUIET)
    trials = of_stage(folder, "search")
    assert [one.status for one in trials] == ["completed"] * 8
    trainings = fits(families)
    configs = {one.config["shift"] for one in trials}
    assert sum(trainings.values()) == len(configs) == 2, "both shifts, or this shows little"
    assert len({one.strategy for one in trials}) > 1
    firsts = {shift: next(one for one in trials if one.config["shift"] == shift) for shift in configs}
    for one in trials:
        first = firsts[one.config["shift"]]
        assert one.trained is (one is first)
        if one is not first:
            assert one.facts == {**first.facts, TRAINING: f"same training as trial {first.trial}"}
        assert len(one.history) == 4
        assert [row["validation_loss"] for row in one.history] == [row["validation_loss"] for row in first.history]
    # What was judged anew is what its strategy gives on the very scores that are kept for the trial.
    with_same_strategy = [
        (one, other) for one in trials for other in trials
        if (one.config, one.strategy) == (other.config, other.strategy) and one.trial < other.trial
    ]  # fmt: skip
    assert with_same_strategy
    for one, other in with_same_strategy:
        assert (one.metrics, one.history, one.epoch, one.threshold) == (
            other.metrics,
            other.history,
            other.epoch,
            other.threshold,
        )

    # Another process finds them, too, and a run that has ended leaves none.
    more = plan.model_copy(update={"budget": plan.budget.model_copy(update={"trials": 11})})
    run(more, tmp_path / "run", resume=True, until="search", reporter=QUIET)
    assert len(of_stage(folder, "search")) == 11
    assert fits(families) == {}
    run(more, tmp_path / "run", resume=True, until="evaluate", reporter=QUIET)
    assert not folder.states.exists()


def test_a_finished_training_whose_record_was_lost_is_its_own(tile_tree: Path, tmp_path: Path, families: Path) -> None:
    plan = searched(tile_tree, families, "LONG", FIXED)
    folder = run(plan, tmp_path / "run", until="search", reporter=QUIET)
    (before,) = of_stage(folder, "search")
    fits(families)
    folder.records.write_bytes(b"")
    run(plan, tmp_path / "run", resume=True, until="search", reporter=QUIET)
    (after,) = of_stage(folder, "search")
    assert fits(families) == {}
    assert (after.trained, after.facts, after.metrics, after.history) == (
        True,
        before.facts,
        before.metrics,
        before.history,
    )


def test_a_scheduler_stops_what_is_told_again_as_any_other(tile_tree: Path, tmp_path: Path, families: Path) -> None:
    budget = {"trials": 9, "epochs": 4, "concurrent": 1}
    plan = searched(tile_tree, families, "LONG", {"power": 1.0}, budget=budget, scheduler="asha")
    folder = run(plan, tmp_path / "run", until="search", reporter=QUIET)
    trials = of_stage(folder, "search")
    assert len(trials) == 9
    fitted = sum(fits(families).values())
    ways = {(one.status, one.trained) for one in trials}
    assert len(ways) == 4, "completed and pruned, trained and told again, or this shows little"
    # A training that was cut short serves no other; one that came to its end is not done again.
    assert fitted == sum(one.trained for one in trials)
    done: set[int] = set()
    for one in trials:
        assert one.trained is (one.config["shift"] not in done)
        if one.status == "completed":
            done.add(one.config["shift"])
        assert len(one.history) == 4 or one.status == "pruned"


def test_where_a_value_hardly_comes_again_nothing_is_kept(tile_tree: Path, tmp_path: Path, families: Path) -> None:
    before, after = 'suggest_categorical("power", [1.0, 2.0])', 'suggest_float("power", 1.0, 2.0)'
    families.write_text(families.read_text().replace(before, after))
    plan = searched(tile_tree, families, "LONG", {"shift": 1})
    folder = run(plan, tmp_path / "run", until="search", reporter=QUIET)
    assert not list(folder.states.glob("*.ended"))
    again = run(searched(tile_tree, families, "LONG", FIXED), tmp_path / "fixed", until="search", reporter=QUIET)
    assert len(list(again.states.glob("*.ended"))) == 1


@pytest.mark.slow
def test_tunings_that_differ_in_the_threshold_share_their_trainings(
    tile_tree: Path, tmp_path: Path, families: Path
) -> None:
    ablation = {"config": {}, "factors": {"threshold": ["youden", "max_normal"]}, "tune": 3}
    plan = experiment(tile_tree, families, "LONG", seeds=[0], ablation=ablation)
    folder = ablate(plan, tmp_path / "run", reporter=QUIET)
    tunings = of_stage(folder, "tuning")
    assert sum(one.trained for one in tunings) + sum(one.trained for one in of_stage(folder, "ablation")) == sum(
        fits(families).values()
    )
    assert len({str(one.config) for one in tunings}) == sum(one.trained for one in tunings)
    assert not folder.states.exists()

"""`objective.constraints`: trials beyond them are told to the study, chosen by nobody, and said everywhere."""

import shutil
from pathlib import Path
from typing import Any

import builders.paced_family
import pandas as pd
import pytest
from builders.paced_family import SLOW_FROM
from builders.told import Told

from orchestrator import Experiment, RunFolder, read_records, results, run, status
from orchestrator.artifacts.models import NOTE, KeptModel
from orchestrator.artifacts.records import TrialRecord
from orchestrator.running.run import ablate
from orchestrator.search.journal import open_study

pytestmark = pytest.mark.usefixtures("ray_session")

LIMIT = 100.0


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("own") / "paced.py"
    shutil.copyfile(str(builders.paced_family.__file__), file)
    return file


def experiment(tree: Path, file: Path, trials: int, **sections: Any) -> Experiment:
    values: dict[str, Any] = {
        "data": {"path": str(tree), "layout": "mvtec", "size": 16, "store": f"{tree}-small"},
        "families": [
            {"name": "searched", "family": f"{file}:FAMILY", "fixed": {"shade": 0}},
            {"name": "slow", "family": f"{file}:FAMILY", "fixed": {"steps": 3, "shade": 0}},
        ],
        "baseline": "searched",
        "objective": {"metric": "validation_loss", "constraints": {"latency_ms": LIMIT}},
        "budget": {"trials": trials, "epochs": 2, "concurrent": 1},
        "scheduler": "none",
        "seeds": [0],
    }
    return Experiment.from_mapping({**values, **sections})


def trials_of(folder: RunFolder, variant: str) -> list[TrialRecord]:
    return [one for one in read_records(folder.records) if (one.stage, one.variant) == ("search", variant)]


def told_to_the_study(folder: RunFolder) -> list[dict[str, float]]:
    return [one.constraints for one in open_study(folder.journal("searched"), "searched", "min").trials]


@pytest.fixture(scope="module")
def whole(tile_tree: Path, tmp_path_factory: pytest.TempPathFactory, families: Path) -> tuple[RunFolder, Told]:
    told = Told()
    given = experiment(tile_tree, families, 6)
    return run(given, tmp_path_factory.mktemp("constraints") / "run", reporter=told), told


def test_the_best_within_the_limit_is_evaluated(whole: tuple[RunFolder, Told]) -> None:
    folder, _ = whole
    trials = trials_of(folder, "searched")
    assert {one.status for one in trials} == {"completed"}
    slow = [one.config["steps"] >= SLOW_FROM for one in trials]
    assert set(slow) == {True, False}, "or this shows nothing"
    assert [one.speed is not None and one.speed.latency_ms > LIMIT for one in trials] == slow
    # What was trained before is replayed with the speed that was measured then.
    by_steps: dict[int, set[Any]] = {}
    for one in trials:
        by_steps.setdefault(one.config["steps"], set()).add(one.speed)
    assert {len(speeds) for speeds in by_steps.values()} == {1}
    assert not all(one.trained for one in trials)
    assert [told["latency_ms"] > 0 for told in told_to_the_study(folder)] == slow
    (cell,) = [one for one in read_records(folder.records) if one.stage == "evaluation"]
    kept = min((one for one, beyond in zip(trials, slow, strict=True) if not beyond),
               key=lambda one: (one.metrics["validation_loss"], one.trial))  # fmt: skip
    assert (cell.variant, cell.trial) == ("searched", kept.trial)
    assert min(trials, key=lambda one: one.metrics["validation_loss"]).config["steps"] >= SLOW_FROM
    best = status(folder.root)["variants"][0]["best"]
    assert best == pytest.approx(kept.metrics["validation_loss"])


def test_an_evaluated_model_says_how_fast_it_is(whole: tuple[RunFolder, Told]) -> None:
    folder, _ = whole
    (cell,) = [one for one in read_records(folder.records) if one.stage == "evaluation"]
    assert cell.speed is not None
    assert cell.speed.best_batch is not None
    assert cell.speed.pictures_per_second is not None
    assert cell.speed.beside == 0
    note = KeptModel.model_validate_json((folder.model("searched", 0) / NOTE).read_text())
    assert note.speed == cell.speed
    first, second = results(folder.root)["leaderboard"]
    assert first["latency_ms"] == pytest.approx(cell.speed.latency_ms)
    assert (first["best_batch"], first["memory_mb"]) == (cell.speed.best_batch, cell.speed.memory / 10**6)
    assert (second["latency_ms"], second["n_seeds"]) == (None, 0)
    speed = pd.read_csv(folder.report / "tables" / "speed.csv")
    assert speed["latency_ms"].tolist() == [pytest.approx(cell.speed.latency_ms)]
    assert "one picture" in (folder.report / "tables" / "speed.tex").read_text()


def test_where_no_trial_is_within_it_is_said_and_the_others_go_on(whole: tuple[RunFolder, Told]) -> None:
    folder, told = whole
    line = "slow: none of 6 trials keeps to latency at most 100 ms: the nearest, trial 0, has latency 20"
    assert any(one.startswith(line) and one.endswith("so there is nothing to evaluate.") for one in told.lines)
    outcome = results(folder.root)["leaderboard"][1]["outcome"]
    assert outcome.startswith("none of 6 trials keeps to latency at most 100 ms")
    failures = pd.read_csv(folder.report / "tables" / "failures.csv")
    assert failures[["variant", "status"]].to_numpy().tolist() == [["slow", "beyond limits"]]
    page = (folder.report / "report.md").read_text(encoding="utf-8")
    assert "No trial was chosen that is beyond latency at most 100 ms" in page
    assert "slow 6 of 6" in page


def test_a_resume_goes_on_and_a_lost_journal_learns_of_it_again(
    whole: tuple[RunFolder, Told], tile_tree: Path, families: Path, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(whole[0].root, folder.root)
    before = told_to_the_study(folder)
    for journal in folder.root.glob("studies/*.journal"):
        journal.unlink()
    run(experiment(tile_tree, families, 7), folder.root, resume=True, until="search", reporter=Told())
    after = told_to_the_study(folder)
    assert after[:6] == before
    assert len(trials_of(folder, "searched")) == 7
    changed = {"metric": "validation_loss", "constraints": {"latency_ms": 1.0}}
    with pytest.raises(Exception, match=r"objective\.constraints\.latency_ms"):
        run(experiment(tile_tree, families, 7, objective=changed), folder.root, resume=True, reporter=Told())


@pytest.mark.slow
def test_an_ablation_with_tunings_keeps_to_it(tile_tree: Path, families: Path, tmp_path: Path) -> None:
    told = Told()
    asked = {"baseline": "searched", "factors": {"steps": [0, 3]}, "tune": 1}
    variants = [{"name": "searched", "family": f"{families}:FAMILY"}]
    given = experiment(tile_tree, families, 4, ablation=asked, families=variants)
    folder = ablate(given, tmp_path / "run", reporter=told)
    ablated = [one for one in read_records(folder.records) if one.stage in ("evaluation", "ablation")]
    assert {one.status for one in ablated} == {"completed"}
    assert all(one.config["steps"] < SLOW_FROM for one in ablated)
    assert any("its one trial does not keep to latency at most 100 ms" in one for one in told.lines)
    frame = pd.read_csv(folder.report / "tables" / "ablation.csv", dtype=str)
    assert frame.loc[frame["variant"] == "steps: 3", "mean"].isna().all()
    assert frame.loc[frame["variant"] == "steps: 0", "mean"].notna().all()

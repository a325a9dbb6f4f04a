"""The default configuration that a search has to beat: tried first, kept where chance may explain the best one's lead,
and what evaluation, ablation and report go by."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.told import Told
from PIL import Image

from orchestrator import Experiment, InputError
from orchestrator.artifacts.ablation_plan import AblationPlan
from orchestrator.artifacts.choices import Choice
from orchestrator.artifacts.records import TrialRecord, best_record, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.preflight import settle
from orchestrator.experiment.settings import full_config
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.numbers.selection import selection_frame, selections
from orchestrator.running.run import ablate, run

SPILL = Path(__file__).parents[4] / "shared" / "data" / "spill"

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of which no picture tells anything: whoever is surer than even odds is wrong, and who is right is so
    by chance."""
    root = tmp_path_factory.mktemp("noise")
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir()
        for number in range(100):
            Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(root / name / f"{number}.png")
    return root


def experiment(tree: Path, metric: str, **sections: Any) -> Experiment:
    split = {"train": 0.4, "validation": 0.4, "test": 0.2}
    values: dict[str, Any] = {
        "data": {"path": str(tree), "layout": "images", "size": 16, "split": split, "store": f"{tree}-store"},
        "families": [{"family": "pca_logistic", "name": "v", "fixed": {"thumbnail": 16}}],
        "objective": {"metric": metric, "winner": "beats_default"},
        "budget": {"trials": 5, "epochs": 1, "concurrent": 1},
        "seeds": [0],
        "ablation": {"factors": {"components": [4, 8]}},
    }
    return Experiment.from_mapping({**values, **sections})


def by_stage(folder: RunFolder) -> dict[str, list[TrialRecord]]:
    found: dict[str, list[TrialRecord]] = {}
    for record in read_records(folder.records):
        found.setdefault(record.stage, []).append(record)
    return found


def chosen(folder: RunFolder) -> Choice:
    choice = Choice.load(folder.choice("v"))
    assert choice is not None
    return choice


def test_a_lead_by_chance_is_passed_over_and_a_resume_says_nothing_again(noise: Path, tmp_path: Path) -> None:
    given, told = experiment(noise, "log_loss"), Told()
    folder = RunFolder(run(given, tmp_path / "run", reporter=told).root)
    records = by_stage(folder)
    first = records["search"][0]
    assert first.trial == 0
    assert full_config("pca_logistic", first.config) == full_config("pca_logistic", {"thumbnail": 16})
    choice = chosen(folder)
    assert choice.default_stayed
    assert choice.lead is not None
    assert choice.lead > 0
    assert choice.p is not None
    assert (choice.compared, choice.sources) == (4, 80)
    (cell,) = records["evaluation"]
    assert (cell.trial, cell.config) == (0, first.config)
    (line,) = (one for one in told.lines if "the default was kept" in one)
    assert line.startswith(f"v: trial {choice.best} leads the default configuration, trial 0, by {choice.lead:.4f}")
    page = (folder.report / "index.html").read_text(encoding="utf-8")
    assert "which chance may explain: the default was kept" in page
    assert "was evaluated, and trial" not in page
    frame = selection_frame(data := read_run(folder), selections(data))
    assert frame[["winner", "default_kept", "lead_p"]].iloc[0].tolist() == [0, True, choice.p]

    again = Told()
    run(given, tmp_path / "run", resume=True, reporter=again)
    assert by_stage(folder) == records
    assert not any("default" in one for one in again.lines)
    _an_ablation_goes_out_from_it(given, folder, cell)
    _lost_scores_are_no_evidence(given, folder)
    with pytest.raises(InputError, match=r"objective\.winner: 'beats_default' there, 'best' here"):
        run(experiment(noise, "log_loss", objective={"metric": "log_loss"}), tmp_path / "run", resume=True)


def _an_ablation_goes_out_from_it(given: Experiment, folder: RunFolder, cell: TrialRecord) -> None:
    ablate(given, folder.root, reporter=Told())
    base = AblationPlan.load(folder.ablation).variants[0]
    assert (base.config, base.cell) == (cell.config, cell.cell)
    assert [one.config["components"] for one in by_stage(folder)["ablation"]] == [4, 8]


def _lost_scores_are_no_evidence(given: Experiment, folder: RunFolder) -> None:
    folder.validation_scores("v").write_text("no scores\n")
    told = Told()
    run(given, folder.root, resume=True, reporter=told)
    assert chosen(folder).chosen == 0
    assert any("no test could be made (the validation scores of trial 0 are not there)" in one for one in told.lines)


def test_defaults_that_can_not_be_trained_are_refused_before_anything_starts(noise: Path, tmp_path: Path) -> None:
    narrow = {"family": "pca", "fixed": {"thumbnail": 2, "grey": True}, "space": {"components": [1, 4]}}
    data = {"path": str(noise), "layout": "images", "size": 16, "normal": "a"}
    for rule, refused in (("best", False), ("beats_default", True)):
        given = experiment(noise, "roc_auc", families=[narrow], data=data, ablation=None)
        objective = given.objective.model_copy(update={"winner": rule})
        given = given.model_copy(update={"objective": objective})
        if refused:
            with pytest.raises(InputError, match="components is 8, and a picture has 4 values"):
                settle(given)
        else:
            settle(given)


def test_a_lead_beyond_chance_is_taken_and_more_trials_are_chosen_from_anew(noise: Path, tmp_path: Path) -> None:
    sure = [{"family": "pca_logistic", "name": "v", "fixed": {"components": 60}, "space": {"C": [1e-4, 2e-4]}}]
    few = {"trials": 1, "epochs": 1, "concurrent": 1}
    folder = RunFolder(run(experiment(noise, "log_loss", families=sure, budget=few), tmp_path, reporter=Told()).root)
    assert (chosen(folder).chosen, chosen(folder).compared) == (0, 0)
    told = Told()
    run(experiment(noise, "log_loss", families=sure), folder.root, resume=True, reporter=told)
    choice = chosen(folder)
    assert choice.chosen == choice.best != 0
    assert choice.p is not None
    assert choice.p < 0.05
    assert [one.trial for one in by_stage(folder)["evaluation"]] == [0, choice.best]
    assert any("more than chance explains: the best was taken" in one for one in told.lines)


@pytest.mark.slow
def test_on_spill_a_search_does_not_end_below_its_own_default(tmp_path: Path) -> None:
    if not SPILL.is_dir():
        pytest.skip("needs the real data ../shared/data/spill")
    data = {"path": str(SPILL), "layout": "spill", "size": [40, 72], "split": {"near_duplicates": "group"}}
    budget = {"trials": 16, "epochs": 1}
    given = experiment(SPILL, "roc_auc", families=["pca"], data=data, budget=budget, ablation=None)
    folder = RunFolder(run(given, tmp_path / "run", reporter=Told()).root)
    records = by_stage(folder)
    best = best_record(records["search"], "roc_auc", "max")
    (default,) = (one for one in records["search"] if one.trial == 0)
    assert best is not None
    assert best.metrics["roc_auc"] > default.metrics["roc_auc"], "validation alone would take another"
    assert full_config("pca", records["evaluation"][0].config) == full_config("pca", {})
    assert records["evaluation"][0].metrics["roc_auc"] > 0.9

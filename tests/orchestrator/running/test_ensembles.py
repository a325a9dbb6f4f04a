"""Ensembles that are added to a run which has ended: judged on kept scores alone, once, and anew where members change.

The run is one that an earlier version made (see `test_older_runs.py`).
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from orchestrator import (
    Experiment,
    InputError,
    RunFolder,
    compare_runs,
    leaderboard,
    read_records,
    results,
    run,
    status,
    write_report,
)
from orchestrator.artifacts.models import ENSEMBLE, KeptEnsemble
from orchestrator.artifacts.records import TrialRecord
from orchestrator.evaluation.ensembles import EnsembleCell, Member
from orchestrator.experiment.ensemble_settings import Ensemble
from orchestrator.experiment.of_a_run import experiment_of
from orchestrator.machine.progress import Reporter
from orchestrator.planning.parts import ensemble_parts
from orchestrator.report.numbers.run_data import read_run
from trainables.files import file_sha256

QUIET = Reporter(quiet=True)
OF = ["pca_logistic", "tiny"]
BOTH: dict[str, Any] = {"name": "both", "of": OF}
SEEDS: dict[str, Any] = {"name": "as_one", "of": OF, "over": "seeds"}


def go_on(*ensembles: dict[str, Any]) -> list[TrialRecord]:
    """Resume the run with these ensembles; the records that came to it."""
    folder = RunFolder("whole")
    before = list(read_records(folder.records))
    values = experiment_of(folder).model_dump(mode="json")
    run(Experiment.from_mapping({**values, "ensembles": list(ensembles)}), "whole", resume=True, until="evaluate",
        reporter=QUIET)  # fmt: skip
    after = list(read_records(folder.records))
    assert after[: len(before)] == before
    return after[len(before) :]


def scores(variant: str, seed: int, name: str = "scores") -> np.ndarray:
    with np.load(RunFolder("whole").predictions(variant, seed)) as kept:
        return kept[name]


@pytest.mark.usefixtures("ray_session")
def test_rows_are_added_once_and_made_anew_where_members_or_definition_change(old: Path) -> None:
    folder = RunFolder(old / "whole")
    shutil.copytree(folder, old / "before")
    shutil.copy(folder.predictions("tiny", 1), old / "put_aside")
    folder.predictions("tiny", 1).write_bytes(b"spoiled")
    first = go_on(BOTH, SEEDS)
    assert [(one.variant, one.seed, one.status) for one in first] == [
        ("both", 0, "completed"),
        ("both", 1, "failed"),
        ("as_one", 0, "failed"),
    ]
    assert "tiny, seed 1, can't be used (test_scores.npz is not the file" in first[1].reason
    _check_row(folder, first[0])
    assert go_on(BOTH, SEEDS) == [], "nothing is judged twice, and what fails as before is told once"
    assert status("whole")["state"] == "stopped"
    shutil.copy(old / "put_aside", folder.predictions("tiny", 1))
    mended = go_on(BOTH, SEEDS)
    assert [(one.variant, one.seed, one.status) for one in mended] == [
        ("both", 1, "completed"),
        ("as_one", 0, "completed"),
    ]
    every = np.mean([scores(variant, seed) for variant in OF for seed in (0, 1)], axis=0)
    np.testing.assert_allclose(scores("as_one", 0), every, rtol=1e-12)
    changed = go_on({**BOTH, "weights": "validation"})
    assert [(one.variant, one.seed) for one in changed] == [("both", 0), ("both", 1)]
    assert "least log loss on validation" in changed[0].facts["ensemble shares"]
    _check_what_reads_a_run(folder, old / "before")


def _check_row(folder: RunFolder, record: TrialRecord) -> None:
    assert (record.family, record.stage, record.split, record.trained) == ("ensemble", "evaluation", "test", False)
    assert record.config == {"of": OF, "over": "variants", "weights": "uniform"}
    mean = (scores("pca_logistic", 0) + scores("tiny", 0)) / 2
    np.testing.assert_allclose(scores("both", 0), mean, rtol=1e-12)
    assert record.metrics["accuracy"] == accuracy_score(scores("tiny", 0, "labels"), mean.argmax(axis=1))
    here = folder.model("both", 0)
    kept = KeptEnsemble.model_validate_json((here / ENSEMBLE).read_bytes())
    assert (kept.task, kept.threshold) == ("classification", None)
    for member in kept.members:
        assert file_sha256(here / member.folder / "weights.pt") == member.weights
        assert (member.weight, member.center, member.scale) == (0.5, 0.0, 1.0)
    line = json.loads(folder.test_reads.read_text(encoding="ascii").splitlines()[-1])
    assert (line["variant"], line["weights"]) == ("both", file_sha256(here / ENSEMBLE))
    log = read_run(folder).readings
    assert (log.found[-1].hash, log.broken) == (record.reading, [])


def _check_what_reads_a_run(folder: RunFolder, before: Path) -> None:
    write_report("whole", figures=False)
    found = {row["variant"]: row for row in results("whole")["leaderboard"]}
    assert {name: (row["family"], row["n_seeds"]) for name, row in found.items()} == {
        "pca_logistic": ("pca_logistic", 2),
        "tiny": ("pca_logistic", 2),
        "both": ("ensemble", 2),
        "as_one": ("ensemble", 1),  # no more in the file, and still in the records
    }
    assert found["both"]["seconds"] == pytest.approx(found["pca_logistic"]["seconds"] + found["tiny"]["seconds"])
    assert found["as_one"]["outcome"].startswith("no test: fewer than two seeds")
    page = (folder.report / "index.html").read_text(encoding="utf-8")
    assert "Judged together, by the scores that are kept of each: " in page
    assert "Partial:" not in page
    assert status("whole")["ensembles"] == [{"name": "both", "evaluated": 2, "seeds": 2}]
    assert status("whole")["state"] == "finished"
    for told in (compare_runs([before, folder.root]), leaderboard([folder.root])):
        assert "both" in told.text


@pytest.mark.usefixtures("old")
def test_a_plan_has_a_line_for_each() -> None:
    values = experiment_of(RunFolder("whole")).model_dump(mode="json")
    parts = ensemble_parts(Experiment.from_mapping({**values, "ensembles": [BOTH, SEEDS]}), tested=9)
    assert {part.variant: (part.stage, part.units) for part in parts} == {
        "both": ("evaluation", 2),
        "as_one": ("evaluation", 1),
    }


def test_a_member_that_was_trained_again_is_another_one(old: Path) -> None:
    record = next(one for one in read_records(old / "whole" / "records.jsonl") if one.stage == "evaluation")
    ensemble = Ensemble.model_validate(BOTH)

    def key(*records: TrialRecord | None) -> str:
        members = tuple(Member("pca_logistic", seed, one) for seed, one in enumerate(records))
        return EnsembleCell(ensemble=ensemble, seed=0, members=members).key

    again = record.model_copy(update={"files": {"test_scores.npz": "0" * 64}})
    assert len({key(record, record), key(record, again), key(record, None)}) == 3
    renamed = Ensemble.model_validate({**BOTH, "name": "other"})
    assert (
        key(record)
        == EnsembleCell(ensemble=renamed, seed=0, members=(Member("pca_logistic", 0, record, "unused"),)).key
    )


@pytest.mark.usefixtures("old")
def test_seeds_of_a_family_without_randomness_are_refused_before_any_work() -> None:
    with pytest.raises(InputError, match="all its seeds are one model"):
        go_on({"name": "alike", "of": ["tiny"], "over": "seeds"})

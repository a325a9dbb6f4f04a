"""Trials that run out of memory beside others: each runs once more alone, and only then is a row."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builders.provenance import PROVENANCE
from ray.tune.trainable.metadata import _TrainingRunMetadata

from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import Placement
from orchestrator.machine.offered import Offered
from orchestrator.scoring.judge import Judge
from orchestrator.search.ledger import Ledger
from orchestrator.search.run_study import open_searcher, wave
from orchestrator.search.study import Study
from trainables.interface import Problem, Samples
from trainables.pca_logistic import FAMILY
from trainables.training.reports import ErrorReport
from trainables.training.trial import Job

SAMPLES = Samples(np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1]), ("a", "b"), ("1", "2"))
WHOLE, GIB = Placement("cuda", 1, 1, 2), 2**30


@pytest.fixture
def study(tmp_path: Path) -> Study:
    experiment = Experiment.from_mapping({"data": {"path": "."}, "families": ["pca_logistic"]})
    return Study(
        experiment=experiment,
        variant=experiment.families[0],
        training_seed=1000,
        journal=tmp_path / "v.journal",
        earlier=(),
        trials=10,
        placement=WHOLE,
        seconds=None,
        scratch=tmp_path / "scratch",
        provenance=lambda: PROVENANCE,
        on_record=lambda record, strategy, scores: record,
        offered=Offered(16, 2),
    )


class Searched:
    """A study at work, Tune's calls made by hand."""

    def __init__(self, study: Study, full: Callable[[int], bool] = lambda running: False) -> None:
        problem = Problem(("a", "b"), (8, 8, 3), 9)
        self.job = Job(FAMILY, problem, SAMPLES, SAMPLES, Judge("classification"), "macro_f1", "max", None, 1)
        self.study, self.ledger, self.count, self.full = study, Ledger(study, self.job), 0, full
        self.open()

    def open(self) -> None:
        """As each Tuner does."""
        self.alone = self.ledger.take_crowded()
        made = open_searcher(self.study, tuple(self.ledger.records), self.job, lambda: False, self.full)
        self.ledger.searcher = made
        for number in reversed(self.alone):
            made.again(number)

    def begin(self) -> Any:
        self.count += 1
        config: Any = self.ledger.searcher.suggest(f"id{self.count}")
        if config is None:
            return None
        actor = SimpleNamespace(ray_actor=None)
        trial: Any = SimpleNamespace(
            trial_id=f"id{self.count}",
            config=config,
            error_file=None,
            temporary_state=actor,
            run_metadata=_TrainingRunMetadata(),
        )
        self.ledger.on_trial_start(0, [], trial)
        return trial

    def fail(self, trial: Any, error: str) -> None:
        self.ledger.on_trial_result(
            0, [], trial, dict(ErrorReport(objective=np.nan, epoch=0, state="", error=error, storage=None))
        )
        self.ledger.on_trial_complete(0, [], trial)
        self.ledger.searcher.on_trial_complete(trial.trial_id)


def test_it_runs_alone_before_all_others_and_is_a_row_only_then(study: Study) -> None:
    at_work = Searched(study)
    first, second, third = (at_work.begin() for _ in range(3))
    at_work.fail(second, "torch.OutOfMemoryError: CUDA out of memory")
    at_work.fail(third, "ValueError: something else")
    assert [(one.trial, one.status) for one in at_work.ledger.records] == [(2, "failed")]

    at_work.open()  # the first is still open, as after a worker's death: it must not come before
    assert at_work.alone == [1]
    at_work.ledger.placement, trials = wave(study, at_work.alone, 1, ())
    assert (trials, at_work.ledger.placement.at_once, at_work.ledger.placement.gpus) == (1, 1, 1)
    again = at_work.begin()
    assert again.config == second.config
    at_work.fail(again, "torch.OutOfMemoryError: CUDA out of memory")
    last = at_work.ledger.records[-1]
    assert (last.trial, last.status, last.facts) == (
        1,
        "out-of-memory",
        {"memory": "none was left beside others; trained alone"},
    )
    at_work.open()
    assert at_work.alone == []
    assert at_work.begin().config == first.config


def test_where_no_time_is_left_for_it_it_is_a_row(study: Study) -> None:
    at_work = Searched(study)
    at_work.fail(at_work.begin(), "CUDA out of memory")
    assert at_work.ledger.records == []
    at_work.ledger.end_crowded()
    assert [(one.status, one.reason, one.facts) for one in at_work.ledger.records] == [
        ("out-of-memory", "CUDA out of memory", {})
    ]


def test_what_was_alone_is_a_row_at_once(study: Study) -> None:
    at_work = Searched(replace(study, placement=replace(WHOLE, at_once=1)))
    at_work.fail(at_work.begin(), "CUDA out of memory")
    assert [one.status for one in at_work.ledger.records] == ["out-of-memory"]


def test_no_trial_begins_where_memory_would_run_short_and_one_always_does(study: Study) -> None:
    at_work = Searched(study, full=lambda running: running >= 2)
    first, second = at_work.begin(), at_work.begin()
    assert at_work.begin() is None
    at_work.fail(first, "ValueError: x")
    assert at_work.begin() is not None
    at_work.fail(second, "ValueError: x")
    always = Searched(replace(study, journal=study.journal.with_name("w.journal")), full=lambda running: True)
    assert always.begin() is not None
    assert always.begin() is None


def test_a_gpu_each_is_measured_first_and_then_shared(study: Study) -> None:
    assert wave(study, [], 0, ()) == (WHOLE, 2)
    seen = TrialRecord(
        stage="search", family="pca_logistic", variant="pca_logistic", trial=0, seed=0, split="validation", config={},
        status="completed", seconds=1.0, provenance=PROVENANCE, device="cuda", gpus=1, own_memory=GIB,
        available_memory=79 * GIB,
    )  # fmt: skip
    closer, trials = wave(study, [], 2, (seen,))
    assert (closer.gpus, closer.at_once, trials) == (0.25, 8, 8)
    numbers = study.experiment.model_copy(
        update={"resources": study.experiment.resources.model_copy(update={"gpus": 1.0})}
    )
    assert wave(replace(study, experiment=numbers), [], 2, (seen,)) == (WHOLE, 8)

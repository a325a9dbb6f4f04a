"""Random orders of begin, report, finish, prune, fail, kill and resume, against a model of what must be on disk."""

import math
import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from builders.provenance import PROVENANCE
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from optuna.trial import TrialState
from ray.tune.trainable.metadata import _TrainingRunMetadata

from orchestrator.artifacts.endings import RETRIES, TIME_USED_UP
from orchestrator.artifacts.records import TrialRecord, append_record, read_records
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import Placement
from orchestrator.scoring.judge import Judge
from orchestrator.search.ledger import Ledger
from orchestrator.search.run_study import open_searcher
from orchestrator.search.searcher import STATE_OF, OptunaSearcher
from orchestrator.search.study import Study
from trainables.interface import Problem, Samples
from trainables.pca_logistic import FAMILY
from trainables.small_files import FolderFiles
from trainables.training.reports import EpochReport, LeavingReport
from trainables.training.trial import Job

SAMPLES = Samples(np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1]), ("a", "b"), ("1", "2"))
MOST = 3
"""Trials that are open at a time."""


@dataclass
class Open:
    """A trial that runs, as Tune's callbacks know it."""

    trial: Any
    epochs: int = 0
    values: list[float] = field(default_factory=list)


class Interleavings(RuleBasedStateMachine):
    """The real ledger, searcher, journal and records; Tune's calls are made here, in any order."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.journal = self.folder / "studies" / "v.journal"
        self.ended: dict[int, TrialRecord] = {}
        """The model: what must be in the records, by trial."""
        self.configs: dict[int, Any] = {}
        """The model: what each number has drawn, for ever."""
        self.begun: set[int] = set()
        self.records = self.folder / "records.jsonl"
        self.identities = 0
        self.resume()

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def resume(self) -> None:
        """What a fresh process does."""
        experiment = Experiment.from_mapping({"data": {"path": "."}, "families": ["pca_logistic"]})
        self.study = Study(
            experiment=experiment,
            variant=experiment.families[0],
            training_seed=experiment.trial_seed,
            journal=self.journal,
            earlier=tuple(read_records(self.records)),
            trials=100,
            placement=Placement("cpu", 1.0, 0.0, MOST),
            seconds=None,
            scratch=self.folder / "scratch",
            provenance=lambda: PROVENANCE,
            on_record=self.write,
        )
        job = Job(
            FAMILY, Problem(("a", "b"), (8, 8, 3), 9), SAMPLES, SAMPLES, Judge("classification"), "macro_f1", "max",
            None, 1, states=FolderFiles(self.folder / "states"),
        )  # fmt: skip
        self.searcher: OptunaSearcher = open_searcher(self.study, self.study.earlier, job, lambda: False)
        self.ledger = Ledger(self.study, job)
        self.ledger.searcher = self.searcher
        self.open: dict[int, Open] = {}
        self.deaths: Counter[int] = Counter()
        """Of workers in this process, by the number of the trial that they took with them."""
        self.waiting = sorted(self.begun - set(self.ended))
        """The model: numbers that a death left without a record; they come again, lowest first."""

    def write(self, record: TrialRecord, strategy: str | None, scores: Any) -> TrialRecord:
        append_record(self.records, record)
        return record

    @precondition(lambda self: len(self.open) < MOST)
    @rule(deaths=st.sampled_from([0, 0, 0, 1, 2]))
    def begin(self, deaths: int) -> None:
        trial = self.suggested()
        while deaths and self.deaths[trial.config["number"]] < RETRIES:
            # The worker dies before the trial begins.
            deaths -= 1
            self.deaths[trial.config["number"]] += 1
            self.ledger.on_trial_error(0, [], trial)
            self.waiting.insert(0, trial.config["number"])
            trial = self.suggested()
        self.open[trial.config["number"]] = Open(trial)
        self.ledger.on_trial_start(0, [], trial)

    def suggested(self) -> SimpleNamespace:
        self.identities += 1
        config = self.searcher.suggest(f"id{self.identities}")
        assert isinstance(config, dict)
        number = config["number"]
        if self.waiting:
            assert number == self.waiting.pop(0), "what a death left open comes first, under its number"
            assert config["config"] == self.configs.get(number, config["config"]), "with what it had drawn"
        else:
            assert number == len(self.begun), "numbers have no gap and none comes twice"
        self.begun.add(number)
        self.configs[number] = config["config"]
        return SimpleNamespace(
            trial_id=f"id{self.identities}",
            config=config,
            error_file=None,
            temporary_state=SimpleNamespace(ray_actor=None),
            run_metadata=_TrainingRunMetadata(),
        )

    @precondition(lambda self: self.open)
    @rule(data=st.data(), value=st.floats(0, 1), finished=st.booleans())
    def report(self, data: st.DataObject, value: float, finished: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        one = self.open[number]
        self.ledger.on_trial_result(0, [], one.trial, self.told(one, value, finished))
        if finished:
            self.ledger.on_trial_complete(0, [], one.trial)
            self.end(number, "completed", max(one.values))

    def told(self, one: Open, value: float, finished: bool) -> dict[str, Any]:
        """What a worker reports of its next epoch."""
        one.epochs += 1
        one.values.append(value)
        best = max(one.values)
        report = EpochReport(
            objective=best, epoch=one.epochs, state="", row={"macro_f1": value}, best={"macro_f1": best},
            best_epoch=1 + one.values.index(best), scores=b"", finished=finished, leaving=False, seconds=1.0,
            peak_memory=1, own_memory=1, available_memory=1, energy=None, gpu="", parameters=1, facts={},
            speed=None, same_as=None,
        )  # fmt: skip
        return dict(report)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A worker that still sees the mark of a stop before this resume breaks its trial off, which comes again."""
        number = data.draw(st.sampled_from(sorted(self.open)))
        trial = self.open.pop(number).trial
        self.ledger.on_trial_result(
            0, [], trial, dict(LeavingReport(objective=math.nan, epoch=0, state="", leaving=True))
        )
        self.ledger.on_trial_complete(0, [], trial)
        self.waiting.insert(0, number)

    @precondition(lambda self: any(one.epochs for one in self.open.values()))
    @rule(data=st.data())
    def prune(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(number for number, one in self.open.items() if one.epochs)))
        one = self.open[number]
        self.ledger.on_trial_complete(0, [], one.trial)
        self.end(number, "pruned", max(one.values))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        one = self.open[number]
        for _ in range(RETRIES):
            self.ledger.on_trial_start(0, [], one.trial)  # Tune tries it again
        log = self.folder / "error.txt"
        log.write_text("Failure # 1 (occurred at some time)\nValueError: it broke\n", encoding="utf-8")
        one.trial.error_file = str(log)
        self.ledger.on_trial_error(0, [], one.trial)
        self.end(number, "failed", max(one.values, default=None))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def time_is_up(self, data: st.DataObject) -> None:
        """What has finished by then is not to be run again, though Tune has not heard of it."""
        finished = data.draw(st.sets(st.sampled_from(sorted(self.open))))
        for number in finished:
            self.ledger.on_trial_result(0, [], self.open[number].trial, self.told(self.open[number], 0.5, True))
        self.ledger.end_open("timed-out", TIME_USED_UP)
        for number, one in list(self.open.items()):
            self.end(number, "completed" if number in finished else "timed-out", max(one.values, default=None))

    def end(self, number: int, status: str, value: float | None) -> None:
        one = self.open.pop(number)
        record = next(record for record in read_records(self.records) if record.trial == number)
        assert (record.trial, record.status, len(record.history)) == (number, status, one.epochs)
        assert record.config == self.configs[number]
        assert record.metrics.get("macro_f1") == value
        self.ended[number] = record

    @rule(
        torn=st.integers(0, 200),
        journal=st.sampled_from(["kept", "kept", "torn", "gone", "noise"]),
        untold=st.booleans(),
    )
    def kill(self, torn: int, journal: str, untold: bool) -> None:
        """The process dies: perhaps in the middle of a record, perhaps with its journal cut, lost, or spoiled."""
        if self.open and untold:
            # Its record is written, and death comes before the journal is told.
            number = min(self.open)
            study = self.searcher.study
            told = SimpleNamespace(
                tell=lambda *ignored, **also_ignored: None, get_trials=study.get_trials, _storage=study._storage
            )
            self.ledger.searcher = SimpleNamespace(study=told)  # type: ignore[assignment]
            self.fail_quietly(number)
        elif self.open and torn:
            line = next(iter(self.ended.values())).model_dump_json() if self.ended else '{"format": 1, "stage": "sea'
            with self.records.open("ab") as file:
                file.write(line.encode("ascii")[:torn])
        if journal == "torn":
            os.truncate(self.journal, self.journal.stat().st_size * 2 // 3)
        elif journal == "noise":
            self.journal.write_bytes(b"\x80noise" * 20)
        elif journal == "gone":
            self.journal.unlink()
        self.resume()
        if journal != "kept":
            # Of numbers without a record those may be forgotten that come after all records, and with them what any
            # had drawn: the sampler is seeded by the number, but others may have been running then.
            known = {trial.number for trial in self.searcher.study.get_trials(deepcopy=False)}
            assert self.ended.keys() <= known <= self.begun
            assert known == set(range(len(known))), "numbers have no gap"
            self.begun = known
            self.waiting = sorted(known - self.ended.keys())
            self.configs = {number: self.ended[number].config for number in self.ended}

    def fail_quietly(self, number: int) -> None:
        one = self.open[number]
        self.ledger.on_trial_complete(0, [], one.trial)
        self.end(number, "pruned", max(one.values, default=None))

    @invariant()
    def the_records_are_the_model(self) -> None:
        found = list(read_records(self.records))
        assert [one.trial for one in found] == list(self.ended), "in the order in which they ended, none twice"
        assert found == list(self.ended.values())

    @invariant()
    def the_journal_tells_the_same(self) -> None:
        for trial in self.searcher.study.get_trials(deepcopy=False):
            record = self.ended.get(trial.number)
            if record is not None:
                assert trial.state is STATE_OF[record.status]
                if record.status == "completed":
                    assert trial.value == record.metrics["macro_f1"]
                curve = {int(row["epoch"]): row["macro_f1"] for row in record.history}
                # It may know further epochs, of a training that a kill took.
                assert trial.intermediate_values.items() >= curve.items()
            else:
                assert trial.state is TrialState.RUNNING


Interleavings.TestCase.settings = settings(
    max_examples=int(os.environ.get("ORCHESTRATOR_TEST_INTERLEAVINGS", "12")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink takes minutes: each step waits for the disk
    derandomize=True,
)
TestInterleavings = Interleavings.TestCase

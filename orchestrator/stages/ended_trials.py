"""A search while it works: each trial's scores and record are written, and the line of progress says how it stands."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.at_work import AtWork
from orchestrator.artifacts.endings import FAILED, Status
from orchestrator.artifacts.events import Training
from orchestrator.artifacts.records import TrialRecord, best_record, keep_record
from orchestrator.artifacts.validation_scores import append_scores
from orchestrator.experiment.sections import Variant
from orchestrator.machine.progress import Line
from orchestrator.stages.context import Context, Prepared
from orchestrator.stages.forecast import Forecast


class EndedTrials:
    """The trials of one search as they end."""

    def __init__(
        self,
        context: Context,
        prepared: Prepared,
        variant: Variant,
        ended: list[TrialRecord],
        line: Line,
        forecast: Forecast | None = None,
        stage: Literal["search", "tuning"] = "search",
    ) -> None:
        """`forecast`: of the sweep that the search is part of."""
        self._context = context
        self._validation = prepared.samples(context.experiment.size_of(variant), prepared.split.validation)
        self._cross_fitted = context.judge.folds(self._validation)
        self._line = line
        self._forecast = forecast
        self._of_trial = partial(Training, context.split_number, stage, variant.name, "trial")
        self.statuses: list[Status] = [record.status for record in ended]
        self._best = self._best_of(ended)
        self._show()

    def write(self, record: TrialRecord, strategy: str | None, scores: NDArray[np.float64] | None) -> TrialRecord:
        """Write the scores (flat) and then the record, with the threshold they lead to; show it, and give it back."""
        context = self._context
        record = record.model_copy(update={"cross_fitted": self._cross_fitted})
        if scores is not None:
            scores = scores.reshape(len(self._validation), -1)
            scores = scores[:, 0] if context.goal.task == "detection" else scores
            append_scores(context.folder.validation_scores(record.variant), record.trial, scores)
            threshold = context.judge.threshold(scores, self._validation, strategy)
            record = record.model_copy(update={"threshold": threshold})
        keep_record(context.folder, record)
        context.events.record(context.split_number, record)
        if record.reason and not self._failed and record.status in FAILED:
            context.reporter.say(f"{record.variant}, trial {record.trial}, {record.status}: {record.reason}")
        self.statuses.append(record.status)
        self._best = self._best_of([record] if self._best is None else [self._best, record])
        self._show()
        if self._forecast is not None:
            self._forecast.add(record)
        return record

    def hear(self, number: int, row: dict[str, float]) -> None:
        """Tell of an epoch of a trial that runs."""
        self._context.events.epochs(self._of_trial(number), [row])

    def at_work(self, running: Sequence[AtWork]) -> None:
        """Show the trials that run, to who asks for the run's status, too."""
        self._line.running(running)
        self._context.at_work(running)

    @property
    def _failed(self) -> int:
        return sum(status in FAILED for status in self.statuses)

    def _best_of(self, records: list[TrialRecord]) -> TrialRecord | None:
        goal = self._context.goal
        completed = (one for one in records if one.status == "completed")
        return best_record(completed, goal.metric, goal.mode, goal.limits)

    def _show(self) -> None:
        metric = self._context.goal.metric
        best = [] if self._best is None else [f"best {metric} {self._best.metrics[metric]:.4f}"]
        failed = self._failed
        self._line.update(len(self.statuses), "  ".join([*best, *([f"{failed} failed"] if failed else [])]))

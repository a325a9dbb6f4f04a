"""The books of one search: each trial's scores and record are written, and the line of progress says how it stands."""

import numpy as np
from numpy.typing import NDArray

from orchestrator.experiment import Variant
from orchestrator.preparation import Context, Prepared
from orchestrator.progress import Line
from orchestrator.records import Status, TrialRecord
from orchestrator.search.validation_scores import append_scores


class Tally:
    """Writes the records of one search and shows how it stands."""

    def __init__(
        self, context: Context, prepared: Prepared, variant: Variant, ended: list[TrialRecord], line: Line
    ) -> None:
        self._context = context
        self._validation = prepared.samples(context.experiment.size_of(variant), prepared.split.validation)
        self._line = line
        self.statuses: list[Status] = []
        self._best: float | None = None
        for record in ended:
            self._count(record)
        line.update(len(self.statuses), self._note())

    def add(self, record: TrialRecord, strategy: str | None, scores: NDArray[np.float64] | None) -> TrialRecord:
        """Write the scores (flat) and then the record, with the threshold they lead to; show it, and give it back."""
        if scores is not None:
            scores = scores.reshape(len(self._validation), -1)
            scores = scores[:, 0] if self._context.goal.task == "detection" else scores
            append_scores(self._context.folder.validation_scores(record.variant), record.trial, scores)
            threshold = self._context.judge.threshold(scores, self._validation, strategy)
            record = record.model_copy(update={"threshold": threshold})
        self._context.keep(record)
        if record.reason and not self._failed and record.status in ("failed", "out-of-memory"):
            self._context.reporter.say(f"{record.variant}, trial {record.trial}, {record.status}: {record.reason}")
        self._count(record)
        self._line.update(len(self.statuses), self._note())
        return record

    @property
    def _failed(self) -> int:
        return sum(status in ("failed", "out-of-memory") for status in self.statuses)

    def _count(self, record: TrialRecord) -> None:
        goal = self._context.goal
        self.statuses.append(record.status)
        value = record.metrics.get(goal.metric)
        if value is not None and record.status == "completed":
            better = max if goal.mode == "max" else min
            self._best = value if self._best is None else better(self._best, value)

    def _note(self) -> str:
        best = [] if self._best is None else [f"best {self._context.goal.metric} {self._best:.4f}"]
        failed = self._failed
        return "  ".join([*best, *([f"{failed} failed"] if failed else [])])

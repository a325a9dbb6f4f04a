"""Figures of another tool beside a run: judged on the run's own test pictures, or shown as the table that they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from orchestrator.report.numbers.measured import Drawn
from orchestrator.report.numbers.predictions import VariantScores
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.bootstrap import Draws, resample_detection, resample_metrics
from orchestrator.scoring.metric_table import metrics_of
from trainables.interface import Mode, Task

FAMILY = "foreign"
"""What stands where a model's family does."""
MARK = f" ({FAMILY})"
"""What the name of such a model ends with, wherever it stands."""
CAVEAT = (
    "foreign: judged by figures that this program did not make; how its threshold or hyperparameters were chosen is "
    "not known."
)


@dataclass(frozen=True, eq=False)
class ForeignData(RunData):
    """The models of one file, read as if they were a run's variants. What is not known of them is empty."""

    beside: RunData = field(kw_only=True)
    """The run whose test part they are judged on."""
    kept: Mapping[str, VariantScores] = field(kw_only=True)
    """By model, its scores; empty for a table of metrics."""
    verdicts: Mapping[str, NDArray[np.bool_] | None] = field(kw_only=True)
    """By model (S, N), of detection; None: the file does not say."""
    rows: frozenset[int] = field(kw_only=True)
    """Which rows of the file the figures are of."""

    @property
    def is_table(self) -> bool:
        """Whether these are metrics that another program computed, on pictures that are not known."""
        return not self.kept

    @property
    def task(self) -> Task:
        return self.beside.task

    @property
    def metric(self) -> str:
        return self.beside.metric

    @property
    def mode(self) -> Mode:
        return self.beside.mode

    @cached_property
    def _draws(self) -> dict[str, Draws]:
        return {}

    def drawn(self, model: str) -> Drawn:
        """One model's figures, and each metric on the draws of the test pictures that the run's variants have, too."""
        kept = self.kept.get(model)
        if kept is None:
            return Drawn(self.completed[model], None, {}, "a table of metrics holds no scores")
        if model not in self._draws:
            self._draws[model] = self._resampled(kept, self.verdicts[model])
        return Drawn(self.completed[model], kept, self._draws[model], "")

    def _resampled(self, kept: VariantScores, verdicts: NDArray[np.bool_] | None) -> Draws:
        if self.task == "classification":
            return resample_metrics(kept.scores, kept.labels, kept.classes, kept.groups)
        found = resample_detection(kept.scores, kept.labels, kept.groups, None)
        if verdicts is None:
            return found
        at_line = resample_detection(verdicts.astype(np.float64), kept.labels, kept.groups, np.full(len(verdicts), 0.5))
        return found | {row.name: at_line[row.name] for row in metrics_of("detection") if row.thresholded}


def aligned(theirs: Drawn, ours: Drawn) -> Drawn:
    """A foreign model's repeats under the seeds of a variant's that they stand against.

    Seeds of two programs share nothing but their number. Where two or more are in common, these pair; else the repeats
    pair in their order; one alone stands against each seed, as a model without randomness does.
    """
    seeds, its = ([cell.seed for cell in one.cells] for one in (ours, theirs))
    if len(set(seeds) & set(its)) > 1 or not its:
        return theirs
    places = [0] * len(seeds) if len(its) == 1 else list(range(min(len(seeds), len(its))))
    seeds = seeds[: len(places)]
    cells = [theirs.cells[place].model_copy(update={"seed": seed}) for seed, place in zip(seeds, places, strict=True)]
    kept = theirs.kept
    if kept is not None:
        kept = replace(
            kept,
            seeds=tuple(seeds),
            scores=kept.scores[places],
            orders=tuple(kept.orders[place] for place in places),
            validation=tuple(kept.validation[place] for place in places),
        )
    return Drawn(cells, kept, {name: one.of_seeds(places) for name, one in theirs.draws.items()}, theirs.reason)

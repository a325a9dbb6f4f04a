"""The completed cells of a run, as far as they spare others their training."""

import json
from collections.abc import Hashable, Iterable
from dataclasses import replace

from orchestrator.artifacts.records import TrialRecord
from orchestrator.evaluation.cells import Cell, standing
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.goal import VALIDATION_LOSS, Goal
from orchestrator.families import family_row
from trainables.interface import Family


class KnownCells:
    """Tells what of a cell another one has already.

    Two cells have one model where they differ in what judges it alone: the threshold strategy, unless each strategy
    chooses an epoch of its own; and, in a family without randomness, the seed. They have the same weights where they
    differ in what predicts from these, too (`Family.scoring_keys`), unless an epoch is chosen by what this changes.
    """

    def __init__(self, experiment: Experiment, goal: Goal, records: Iterable[TrialRecord], code: str) -> None:
        """`records`: of the run; `code`: the version that trains now."""
        self._goal, self._code = goal, code
        found = standing(experiment, records)
        self._cells = {(key, seed): one for (_, seed), (key, one) in found.items()}

    def add(self, record: TrialRecord) -> None:
        """Know one more that has ended, and no more what lay in its folder."""
        if record.status == "completed":
            place = record.variant, record.seed
            self._cells = {key: one for key, one in self._cells.items() if (one.variant, one.seed) != place}
            self._cells[record.cell, record.seed] = record

    def model_of(self, cell: Cell) -> Hashable:
        """The same for all cells that have one model."""
        family = _family(cell)
        return cell.training if self._judged_later(family) else cell.key, cell.seed if family.seeded else None

    def weights_of(self, cell: Cell) -> Hashable:
        """The same for all cells that have the same weights."""
        family = _family(cell)
        if not family.single_epoch and self._goal.metric != VALIDATION_LOSS:
            return self.model_of(cell)
        return cell.weights, cell.seed if family.seeded else None

    def model_for(self, cell: Cell) -> TrialRecord | None:
        """The record of a cell that has this one's model: of one judged alike, else of the one that trained it."""
        strategies = {one.strategy for one in self._cells.values()} if self._judged_later(_family(cell)) else set()
        others = [one for way in sorted(strategies, key=str) for one in self._with(cell.key_with(way), cell)]
        return next(iter([*self._with(cell.key, cell), *sorted(others, key=lambda one: not one.trained)]), None)

    def weights_for(self, cell: Cell) -> TrialRecord | None:
        """The record of a cell that has this one's weights, and predicts otherwise from them."""
        keys, setting = _family(cell).scoring_keys, cell.setting
        if not keys or self.weights_of(cell) == self.model_of(cell):
            return None
        rest = {key: value for key, value in setting.config.items() if key not in keys}
        ways: dict[str, Cell] = {}
        for one in self._cells.values():
            if one.family == setting.family:
                scoring = {key: one.config[key] for key in keys if key in one.config}
                as_it = replace(setting, config={**rest, **scoring}, strategy=one.strategy)
                ways.setdefault(json.dumps([scoring, one.strategy]), replace(cell, setting=as_it))
        return next((one for way in ways.values() for one in self._with(way.key, way)), None)

    def _judged_later(self, family: Family) -> bool:
        """Whether a threshold strategy chooses no epoch, so that it can be tried on one that was chosen."""
        return family.single_epoch or not self._goal.thresholded

    def _with(self, key: str, cell: Cell) -> list[TrialRecord]:
        """The records of a key that serve for a cell's seed: its own; without randomness those of any that this version
        trained (an earlier one may have had some)."""
        own = self._cells.get((key, cell.seed))
        if own is not None or _family(cell).seeded:
            return [] if own is None else [own]
        others = [one for (known, _), one in self._cells.items() if known == key and one.provenance.code == self._code]
        return sorted(others, key=lambda one: (not one.trained, one.seed))


def _family(cell: Cell) -> Family:
    return family_row(cell.setting.family).family

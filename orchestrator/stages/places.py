"""Which cell is trained next, and where: on CPUs and GPUs beside each other, by the memory that its like has taken."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.evaluation.cells import Cell
from orchestrator.experiment.packing import have_room, packed, worker_memory
from orchestrator.experiment.placement import Placement, fits
from orchestrator.machine.free_memory import free_memory
from orchestrator.stages.context import Context

Place = tuple[str, str, int]
"""The key, variant and seed of a cell."""


MOST_STACKED = 16
"""Seeds that one worker trains as one network: what more of them gain is little, and all are lost where it ends."""


class Places:
    """Where each of some cells is trained, and what finds room beside what."""

    def __init__(
        self, context: Context, cells: Sequence[Cell], stackable: Callable[[Cell], bool] = lambda cell: False
    ) -> None:
        """`stackable`: whether a cell may be trained as one network with others that differ from it by their seed."""
        self._context, self._cells, self._stackable = context, list(cells), stackable
        self._records = list(read_records(context.winners_in.records)) if cells else []
        self._available = free_memory()
        self._placements: dict[str, Placement] = {}
        self._alone: set[Place] = set()

    def of(self, cell: Cell, *others: Cell) -> Placement:
        """Where it is trained: closer to others where trials of its configuration were measured, and, where it found no
        memory beside others, on the largest GPU.

        `others`: that are trained with it, as one network, of which nothing was measured.
        """
        whole = self._context.placements[cell.setting.family]
        if _place(cell) in self._alone and whole.device == "cuda" and (largest := self._context.now().roomiest):
            return replace(whole, node=largest)
        if others or self._context.experiment.resources.gpus != "auto" or _place(cell) in self._alone:
            return whole
        if cell.key not in self._placements:
            self._placements[cell.key] = packed(whole, self._context.offered, self._like(cell), len(self._cells))
        return self._placements[cell.key]

    def take(self, waiting: list[Cell], running: Sequence[Sequence[Cell]]) -> list[Cell]:
        """The first of the waiting cells, of which it is taken, that finds room beside those at work, with those that
        are to be trained with it as one network; empty: none finds room.

        `running`: the cells of each worker.
        """
        if any(_place(cell) in self._alone for cells in running for cell in cells):
            return []
        beside = [self.of(*cells) for cells in running]
        held = [len(cells) * self._memory(cells[0]) for cells in running]
        offered = self._context.now()
        for cell in waiting:
            if running and _place(cell) in self._alone:
                continue
            cells = [cell, *self._stacked_with(cell, waiting)]
            room = not running or have_room([*held, len(cells) * self._memory(cell)], self._available)
            most = self._context.experiment.budget.concurrent
            if room and fits(self.of(*cells), beside, offered, most):
                waiting[:] = [one for one in waiting if one not in cells]
                return cells
        return []

    def _stacked_with(self, cell: Cell, waiting: Sequence[Cell]) -> list[Cell]:
        """Its other seeds, as far as they are not better trained on a GPU of their own."""
        if _place(cell) in self._alone or not self._stackable(cell):
            return []
        alike = [one for one in self._cells if (one.key, one.variant) == (cell.key, cell.variant)]
        reserved = self._context.placements[cell.setting.family].gpus
        workers = max(1, int(self._context.now().gpus // reserved)) if reserved else 1
        most = min(MOST_STACKED, math.ceil(len(alike) / workers))
        others = [one for one in alike if one is not cell and one in waiting and _place(one) not in self._alone]
        return [one for one in others if self._stackable(one)][: most - 1]

    def again_alone(self, cell: Cell, beside: int) -> bool:
        """Whether a cell that found no memory is to be tried once more, by itself: not where it was so already, unless
        there is a larger GPU.

        `beside`: how many were at work with it.
        """
        crowded = beside or self.of(cell).memory is not None or self._context.now().roomiest
        if _place(cell) in self._alone or not crowded:
            return False
        self._alone.add(_place(cell))
        return True

    def _like(self, cell: Cell) -> list[TrialRecord]:
        """The trials of its configuration; of one that no trial had, none."""
        ours = (cell.setting.family, cell.setting.config)
        return [one for one in self._records if (one.family, one.config) == ours]

    def _memory(self, cell: Cell) -> int:
        """Bytes of this machine that its worker will take, as far as that is known."""
        offered = self._context.offered
        where = self.of(cell)
        measured = not offered.elsewhere and where.device == "cpu"
        return where.workers * worker_memory(self._like(cell)) if measured else 0


def _place(cell: Cell) -> Place:
    return cell.key, cell.variant, cell.seed

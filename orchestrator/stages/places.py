"""Which cell is trained next, and where: on CPUs and GPUs beside each other, by the memory that its like has taken."""

from collections.abc import Sequence

from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.evaluation.cells import Cell
from orchestrator.experiment.packing import have_room, packed, worker_memory
from orchestrator.experiment.placement import Placement, fits
from orchestrator.machine.free_memory import free_memory
from orchestrator.stages.context import Context

Place = tuple[str, str, int]
"""The key, variant and seed of a cell."""


class Places:
    """Where each of some cells is trained, and what finds room beside what."""

    def __init__(self, context: Context, cells: Sequence[Cell]) -> None:
        self._context, self._cells = context, len(cells)
        self._records = list(read_records(context.winners_in.records)) if cells else []
        self._available = free_memory()
        self._placements: dict[str, Placement] = {}
        self._alone: set[Place] = set()

    def of(self, cell: Cell) -> Placement:
        """Where it is trained: closer to others where trials of its configuration were measured."""
        whole = self._context.placements[cell.setting.family]
        if self._context.experiment.resources.gpus != "auto" or _place(cell) in self._alone:
            return whole
        if cell.key not in self._placements:
            self._placements[cell.key] = packed(whole, self._context.offered, self._like(cell), self._cells)
        return self._placements[cell.key]

    def take(self, waiting: list[Cell], running: Sequence[Cell]) -> Cell | None:
        """The first of the waiting cells, of which it is taken, that finds room beside those at work; None: none."""
        if any(_place(cell) in self._alone for cell in running):
            return None
        beside = [self.of(cell) for cell in running]
        held = [self._memory(cell) for cell in running]
        for place, cell in enumerate(waiting):
            if running and _place(cell) in self._alone:
                continue
            room = not running or have_room([*held, self._memory(cell)], self._available)
            if room and fits(self.of(cell), beside, self._context.offered, self._context.experiment.budget.concurrent):
                return waiting.pop(place)
        return None

    def again_alone(self, cell: Cell, beside: int) -> bool:
        """Whether a cell that found no memory is to be tried once more, by itself: not where it was so already.

        `beside`: how many were at work with it.
        """
        if _place(cell) in self._alone or (not beside and self.of(cell).memory is None):
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
        return 0 if offered.elsewhere or self.of(cell).device != "cpu" else worker_memory(self._like(cell))


def _place(cell: Cell) -> Place:
    return cell.key, cell.variant, cell.seed

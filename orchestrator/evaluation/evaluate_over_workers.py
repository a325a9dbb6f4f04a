"""The evaluation of a cell whose training several workers share."""

from typing import Any

from orchestrator.artifacts.endings import RETRIES
from orchestrator.evaluation.cells import Cell
from orchestrator.evaluation.evaluate_cell import evaluate_cell
from trainables.errors import ToldError
from trainables.training.span import WorkerError, WorkersDied
from trainables.training.trial import Job, Stopping


def evaluate_over_workers(cell: Cell, job: Job, *given: Any) -> str | ToldError | None:
    """`evaluate_cell`, `given` as there, where several workers share the training: the first does all else, too.

    What ended them is returned.
    """
    from trainables.training.workers import over_workers  # a second, that others are spared

    def lead(job: Job) -> str | None:
        return evaluate_cell(cell, job, *given)

    try:
        found: str | None = over_workers(lead, job, cell.setting.config, cell.seed, retries=RETRIES)
    except Stopping:
        return None
    except (WorkerError, WorkersDied) as error:
        return error.told if isinstance(error, WorkerError) else ToldError.of(error)
    return found

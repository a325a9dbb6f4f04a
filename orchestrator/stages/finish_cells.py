"""Cells to records: each is trained and scored once, or judged again where another cell's model has scored it."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import ray
from ray.exceptions import WorkerCrashedError

from orchestrator.artifacts.at_work import AtWork, EpochNote, noted
from orchestrator.artifacts.durations import Durations, TimeLeft
from orchestrator.artifacts.endings import RETRIES, kernel_kills, why
from orchestrator.artifacts.models import KeptModel
from orchestrator.artifacts.provenance import code_version
from orchestrator.artifacts.records import TrialRecord, keep_record, read_records
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.evaluation.cells import Cell, standing
from orchestrator.evaluation.evaluate_cell import (
    Grading,
    TestPart,
    failed_cell,
    note_of,
    remote_evaluate_cell,
    state_of,
)
from orchestrator.evaluation.rejudging import Unusable, rejudge
from orchestrator.experiment.placement import Placement
from orchestrator.machine.progress import Line
from orchestrator.stages.context import Context, Prepared
from orchestrator.stages.forecast import Forecast
from orchestrator.stages.handed_to_workers import job_of, origin
from orchestrator.stages.places import Places
from trainables.errors import storage_error
from trainables.training.trial import Job

Kind = tuple[str, tuple[int, int], int]
"""Family, size and epochs: cells that share them share a job."""
LOOK = 5.0
"""Seconds after which the time left is reckoned anew where no cell has ended."""


def finish_cells(
    context: Context,
    prepared: Prepared,
    title: str,
    waiting: Sequence[Cell],
    total: int,
    forecast: Forecast | None = None,
) -> None:
    """Give each waiting cell, of `total` ones, its record: train and score it, or judge again what the model of another
    cell has scored. `forecast`: of the sweep that they are part of."""
    if not waiting:
        return
    # Where trials are judged at a threshold, each strategy chooses an epoch of its own.
    apart = context.goal.thresholded
    known = Known(context, apart)
    first: dict[tuple[str, int], Cell] = {}
    later: list[Cell] = []
    for cell in waiting:
        model = (cell.key if apart else cell.training, cell.seed)
        if model in first or known.source(cell) is not None:
            later.append(cell)
        else:
            first[model] = cell
    with context.reporter.line(f"{context.title}{title}", total, "models", at_once=context.concurrent) as line:
        cross_fitted = context.cross_fitted(prepared)
        done = _Done(context, line, total - len(waiting), waiting, forecast, cross_fitted)
        train_cells(context, prepared, list(first.values()), done)
        known = Known(context, apart)
        spoiled = [cell for cell in later if not judge_again(context, prepared, cell, known.source(cell), done)]
        train_cells(context, prepared, spoiled, done)


class _Done:
    """Writes each record as its cell ends, and shows how many there are and how long the others take."""

    def __init__(
        self,
        context: Context,
        line: Line,
        count: int,
        waiting: Sequence[Cell],
        forecast: Forecast | None,
        cross_fitted: int,
    ) -> None:
        self._context, self._line, self._count, self._forecast = context, line, count, forecast
        self._cross_fitted = cross_fitted
        self._durations = Durations.of(read_records(context.folder.records))
        self._open = Counter(cell.variant for cell in waiting)
        line.update(count)

    def __call__(self, record: TrialRecord, running: Sequence[tuple[str, float]] = ()) -> None:
        """Write a record; `running`: the variants of the cells at work, with the seconds each has had."""
        keep_record(self._context.folder, record.model_copy(update={"cross_fitted": self._cross_fitted}))
        self._count += 1
        self._durations.add(record)
        self._open[record.variant] -= 1
        left = self._left(running) or TimeLeft(0.0)
        self._line.update(self._count, record.variant, seconds_left=left.seconds, at_least=left.at_least)
        if self._forecast is not None:
            self._forecast.add(record)
        self._context.mirror.copy()

    def wait(self, running: Sequence[tuple[str, float]], trainings: Sequence[AtWork]) -> None:
        """Show what is left while nothing ends, and how far the trainings are."""
        if (left := self._left(running)) is not None:
            self._line.expect(left.seconds, left.at_least)
        self._line.running(trainings)
        self._context.at_work(trainings)

    def _left(self, running: Sequence[tuple[str, float]]) -> TimeLeft | None:
        waiting = self._open - Counter(variant for variant, _ in running)
        return self._durations.left(
            [(variant, True) for variant in waiting.elements()],
            [((variant, True), seconds) for variant, seconds in running],
            self._context.concurrent,
        )


class Known:
    """The completed cells of a run, by what decides them."""

    def __init__(self, context: Context, apart: bool) -> None:
        self._apart = apart
        records = read_records(context.folder.records)
        self._cells = {(key, seed): one for (_, seed), (key, one) in standing(context.experiment, records).items()}
        self._strategies = sorted({one.strategy or "" for one in self._cells.values()})

    def source(self, cell: Cell) -> TrialRecord | None:
        """The record of a cell whose model is that of this one."""
        others = [] if self._apart else self._strategies
        keys = [cell.key, *(cell.key_with(strategy or None) for strategy in others)]
        return next((self._cells[key, cell.seed] for key in keys if (key, cell.seed) in self._cells), None)


def train_cells(context: Context, prepared: Prepared, cells: Sequence[Cell], done: _Done) -> None:
    """Train and score cells, as many at a time as fit; what ends one ends no other."""
    folder, waiting, places = context.folder, list(cells), Places(context, cells)
    jobs: dict[Kind, Job] = {}
    running: dict[ray.ObjectRef[str | None], tuple[Cell, Job, float, int]] = {}
    while running or (waiting and not folder.stop.exists()):
        while not folder.stop.exists() and (cell := places.take(waiting, [one for one, *_ in running.values()])):
            kind = (cell.setting.family, cell.setting.size, cell.setting.epochs)
            if kind not in jobs:
                jobs[kind] = job_of(context, prepared, *kind)
            placement = places.of(cell)
            job = replace(jobs[kind], memory=placement.memory)
            running[start_cell(context, prepared, cell, job, placement)] = (cell, job, time.monotonic(), kernel_kills())
        finished, _ = ray.wait(list(running), num_returns=1, timeout=LOOK)
        if not finished:
            done.wait(_at_work(running.values()), _trainings(running.values()))
            continue
        ready = finished[0]
        cell, job, started, kills = running.pop(ready)
        try:
            told = ray.get(ready)
            if told is None:
                # It was asked to stop, and its state is saved; or its node still saw the mark of the stop before this
                # resume, as shared folders may show it.
                waiting.insert(0, cell)
                continue
            record = TrialRecord.model_validate_json(told)
        except Exception as error:
            if (disk := storage_error(error)) is not None:
                raise disk from error
            ended = why(error, kills if isinstance(error, WorkerCrashedError) else None)
            if ended[0] == "out-of-memory" and places.again_alone(cell, beside=len(running)):
                waiting.append(cell)
                continue
            placement, made = places.of(cell), origin(context, prepared, cell.setting.family)
            record = failed_cell(cell, ended, time.monotonic() - started, placement, made)
        done(record, _at_work(running.values()))
        state = state_of(cell, job)
        EpochNote(note_of(state)).remove()  # of a worker that was killed
        if state is not None and record.status == "completed":
            state.remove()


def _at_work(running: Iterable[tuple[Cell, Job, float, int]]) -> list[tuple[str, float]]:
    """The variant of each running cell, and the seconds it has had."""
    now = time.monotonic()
    return [(cell.variant, now - started) for cell, _, started, _ in running]


def _trainings(running: Iterable[tuple[Cell, Job, float, int]]) -> list[AtWork]:
    """How far each of them is, as its worker has noted it."""
    now = time.monotonic()
    found = []
    for cell, job, started, _ in running:
        one = AtWork(cell.variant, "seed", cell.seed, cell.setting.epochs, now - started)
        found.append(noted(one, note_of(state_of(cell, job))))
    return found


def judge_again(
    context: Context,
    prepared: Prepared,
    cell: Cell,
    source: TrialRecord | None,
    done: _Done,
) -> bool:
    """Judge a cell by the scores that another one's model gave; False where what that left is spoiled."""
    folder = context.folder
    if folder.stop.exists():
        return True
    started, made = time.monotonic(), origin(context, prepared, cell.setting.family)
    if source is None:
        reason = why("the training that it shares with another row of its seed failed")
        done(failed_cell(cell, reason, 0.0, None, made))
        return True
    try:
        record = rejudge(cell, source, folder, context.readings(prepared), made, context.judge.own)
    except Unusable as error:
        context.reporter.say(
            f"{cell.variant}, seed {cell.seed}, is trained: the model of {source.variant} can't be used ({error})."
        )
        return False
    except ValueError as error:
        record = failed_cell(cell, why(error), time.monotonic() - started, None, made)
    done(record)
    return True


def start_cell(
    context: Context, prepared: Prepared, cell: Cell, job: Job, placement: Placement
) -> "ray.ObjectRef[str | None]":
    """Start one cell on a worker of its own."""
    experiment, setting = context.experiment, cell.setting
    data = experiment.data
    recipe = prepared.stores[setting.size].recipe
    reading = {} if LAYOUTS[data.layout].plots else {"bits": recipe.bits, "upright": recipe.upright}
    kept = KeptModel(
        family=setting.family,
        variant=cell.variant,
        seed=cell.seed,
        config=setting.config,
        classes=job.problem.classes,
        shape=job.problem.shape,
        preprocessing={
            **{"layout": data.layout, "column": data.column, "gaps": data.gaps, "decimal": data.decimal},
            **{"style": data.style, "size": list(setting.size), **reading},
        },
        code=code_version(context.own_code),
    )
    samples = prepared.samples(setting.size, prepared.split.test, masks=True)
    test = TestPart(samples, context.readings(prepared))
    grading = Grading(context.judge, experiment.threshold.pixel_percentile, experiment.heat_maps, placement)
    reserved = {"num_cpus": placement.cpus, "num_gpus": placement.gpus, "max_retries": RETRIES}
    return remote_evaluate_cell.options(**reserved).remote(
        cell, job, test, context.folder, kept, grading, origin(context, prepared, setting.family)
    )

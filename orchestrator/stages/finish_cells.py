"""Cells to records: each is trained and scored once, or judged again where another cell's model has scored it."""

import time
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from ray.exceptions import ActorDiedError, WorkerCrashedError

from orchestrator.artifacts.at_work import AtWork, EpochNote, noted, noted_history
from orchestrator.artifacts.durations import Durations, TimeLeft
from orchestrator.artifacts.endings import RETRIES, Status, kernel_kills, why
from orchestrator.artifacts.events import Training
from orchestrator.artifacts.models import KeptModel
from orchestrator.artifacts.provenance import code_version
from orchestrator.artifacts.records import TrialRecord, keep_record, read_records
from orchestrator.artifacts.spent import spending
from orchestrator.data.files.image_files import RESIZE
from orchestrator.data.fill.drawing import identity_of_colours
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.data.store.store import Recipe
from orchestrator.evaluation.away import Keeping, RunAtHome, arrived, forget_arrivals
from orchestrator.evaluation.cells import Cell
from orchestrator.evaluation.evaluate_cell import (
    Grading,
    TestPart,
    evaluate_cell,
    evaluate_together,
    failed_cell,
)
from orchestrator.evaluation.evaluate_over_workers import evaluate_over_workers
from orchestrator.evaluation.kept_cells import Unusable
from orchestrator.evaluation.known_cells import KnownCells
from orchestrator.evaluation.rejudging import rejudge
from orchestrator.evaluation.train_cell import note_of, state_of
from orchestrator.experiment.placement import Placement
from orchestrator.experiment.sections import Data
from orchestrator.experiment.settings import Setting
from orchestrator.machine.alive import lacking
from orchestrator.machine.lives import lost_node
from orchestrator.machine.progress import Line
from orchestrator.machine.tasks import Call, answer_of, first_ended, task
from orchestrator.stages.context import Context, Prepared
from orchestrator.stages.forecast import Forecast
from orchestrator.stages.handed_to_workers import job_of, origin
from orchestrator.stages.places import Places
from trainables.errors import ToldError, storage_error
from trainables.interface import Precision
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
    with (
        spending(context.folder.spent, title),
        context.reporter.line(f"{context.title}{title}", total, "models", at_once=context.concurrent) as line,
    ):
        cross_fitted = context.cross_fitted(prepared)
        done = _Done(context, line, total - len(waiting), waiting, forecast, cross_fitted)
        tried: set[Hashable] = set()
        forget_arrivals(context.folder)  # of a run that was broken off
        while waiting and not context.folder.stop.exists():
            waiting = _round(context, prepared, waiting, done, tried)
        forget_arrivals(context.folder)


def _round(
    context: Context, prepared: Prepared, waiting: Sequence[Cell], done: "_Done", tried: set[Hashable]
) -> list[Cell]:
    """Judge again what can be, and train beside each other what shares no weights; returns the rest, for the next one.

    `tried`: the models, and weights, that were trained for before; those of this round are added.
    """
    known, here, later = done.known, list[Cell](), list[Cell]()
    begun: set[Hashable] = set()
    for cell in waiting:
        model, weights = known.model_of(cell), known.weights_of(cell)
        source = known.model_for(cell)
        shared = model in begun or (weights in begun and weights not in tried and known.weights_for(cell) is None)
        if source is None and shared:
            later.append(cell)
        elif (source is None and model not in tried) or not judge_again(context, prepared, cell, source, done):
            here.append(cell)
            begun |= {model, weights}
    train_cells(context, prepared, here, done)
    tried |= begun
    return later


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
        records = list(read_records(context.folder.records))
        self.known = KnownCells(context.experiment, context.goal, records, code_version(context.own_code))
        self._durations = Durations.of(records)
        # What takes another's model over takes no time to speak of.
        models = {self.known.model_of(cell): cell.variant for cell in reversed(waiting)}
        self._open = Counter(models.values())
        line.update(count)

    def __call__(self, record: TrialRecord, running: Sequence[tuple[str, float]] = ()) -> None:
        """Write a record; `running`: the variants of the cells at work, with the seconds each has had."""
        record = record.model_copy(update={"cross_fitted": self._cross_fitted})
        keep_record(self._context.folder, record)
        self._context.events.record(self._context.split_number, record)
        self.known.add(record)
        self._count += 1
        self._durations.add(record)
        self._open[record.variant] -= record.trained
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

    def lack(self, running: Iterable[Placement]) -> None:
        """Say what is waited for where no node of a cluster has room for any of those that are begun."""
        if self._context.engine.remote:
            lacks = [lacking(self._context.now(), one.cpus, one.gpus, one.workers) for one in running]
            self._line.waits(lacks[0] if all(lacks) else "")

    def _left(self, running: Sequence[tuple[str, float]]) -> TimeLeft | None:
        waiting = self._open - Counter(variant for variant, _ in running)
        return self._durations.left(
            [(variant, True) for variant in waiting.elements()],
            [((variant, True), seconds) for variant, seconds in running],
            self._context.concurrent,
        )


def train_cells(context: Context, prepared: Prepared, cells: Sequence[Cell], done: _Done) -> None:
    """Train and score cells, as many at a time as fit; what ends one ends no other."""
    folder, waiting = context.folder, list(cells)
    jobs: dict[Kind, Job] = {}

    def job_for(cell: Cell) -> Job:
        kind = (cell.setting.family, cell.setting.size, cell.setting.epochs)
        if kind not in jobs:
            jobs[kind] = job_of(context, prepared, *kind)
        return jobs[kind]

    def stackable(cell: Cell) -> bool:
        job = job_for(cell)
        able = job.problem.precision.fused and job.family.stackable is not None and job.workers is None
        return able and done.known.weights_for(cell) is None

    places = Places(context, cells, stackable)
    running: dict[Call, _Begun] = {}
    while running or (waiting and not folder.stop.exists()):
        while not folder.stop.exists() and (taken := places.take(waiting, [one.cells for one in running.values()])):
            placement = places.of(*taken)
            begun = _Begun(taken, replace(job_for(taken[0]), memory=placement.memory), placement)
            running[start_cells(context, prepared, begun, done.known.weights_for(taken[0]))] = begun
        finished = first_ended(running, LOOK)
        if finished is None:
            done.wait(_at_work(running.values()), _trainings(running.values()))
            done.lack(begun.placement for begun in running.values())
            _tell_epochs(context, running.values())
            continue
        begun, full = running.pop(finished), None
        for cell, told in zip(begun.cells, _outcomes(finished, begun), strict=True):
            if told is None:
                # It was asked to stop, and its state is saved; or its node still saw the mark of the stop before this
                # resume, as shared folders may show it.
                waiting.insert(0, cell)
                continue
            if isinstance(told, str):
                record = TrialRecord.model_validate_json(told)
                arrived(folder, record)
            elif told.disk is not None:
                full = told.disk
                continue
            else:
                beside = len(running) + len(begun.cells) - 1
                if told.ended[0] == "out-of-memory" and places.again_alone(cell, beside):
                    waiting.append(cell)
                    continue
                made = origin(context, prepared, cell.setting.family)
                record = failed_cell(cell, told.ended, time.monotonic() - begun.started, begun.placement, made)
            done(record, _at_work(running.values()))
            state = state_of(cell, begun.job)
            EpochNote(note_of(state)).remove()  # of a worker that was killed
            if state is not None and record.status == "completed":
                state.remove()
        if full is not None:
            raise full  # now that those which had come to their end before have their records


@dataclass(frozen=True)
class _Begun:
    """Cells at work on one worker."""

    cells: Sequence[Cell]
    job: Job
    placement: Placement
    started: float = field(default_factory=time.monotonic)
    kills: int = field(default_factory=kernel_kills)


@dataclass(frozen=True)
class _Failed:
    """What ended a cell."""

    ended: tuple[Status, str]
    disk: OSError | None
    """What a disk said, where it was that."""


def _outcomes(ended: Call, begun: _Begun) -> list[str | _Failed | None]:
    """What has become of each of the cells of a worker: its record, what ended it, or None where it is to go on."""
    try:
        told = answer_of(ended)
    except Exception as error:
        killed = isinstance(error, (WorkerCrashedError, ActorDiedError)) and not lost_node(error)
        kills = begun.kills if killed else None
        return [_Failed(why(error, kills), storage_error(error))] * len(begun.cells)
    return [
        _Failed(why(one.text), one.disk) if isinstance(one, ToldError) else one
        for one in (told if isinstance(told, list) else [told])
    ]


def _at_work(running: Iterable[_Begun]) -> list[tuple[str, float]]:
    """The variant of each running cell, and the seconds it has had, of those that its worker shares out."""
    now = time.monotonic()
    return [(cell.variant, (now - begun.started) / len(begun.cells)) for begun in running for cell in begun.cells]


def _trainings(running: Iterable[_Begun]) -> list[AtWork]:
    """How far each of them is, as its worker has noted it."""
    now = time.monotonic()
    found = []
    for begun in running:
        for cell in begun.cells:
            one = AtWork(cell.variant, "seed", cell.seed, cell.setting.epochs, now - begun.started)
            found.append(noted(one, note_of(state_of(cell, begun.job))))
    return found


def _tell_epochs(context: Context, running: Iterable[_Begun]) -> None:
    """Tell of the epochs of cells at work, as their workers have noted them."""
    for begun in running:
        for cell in begun.cells:
            training = Training(context.split_number, cell.stage, cell.variant, "seed", cell.seed, cell.key)
            context.events.epochs(training, noted_history(note_of(state_of(cell, begun.job))))


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
        reason = why("the training that it shares with another cell failed")
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


def start_cells(context: Context, prepared: Prepared, begun: _Begun, source: TrialRecord | None) -> Call:
    """Start cells of one configuration on a worker of their own. `source`: of one whose weights are its own, too."""
    experiment, placement, job = context.experiment, begun.placement, begun.job
    first = begun.cells[0].setting
    cells = [(cell, _kept(context, prepared, cell, job)) for cell in begun.cells]
    samples = context.handed(prepared.samples(first.size, prepared.split.test, masks=True))
    test = TestPart(samples, context.readings(prepared))
    grading = Grading(context.judge, experiment.threshold.pixel_percentile, experiment.heat_maps, placement)
    made = origin(context, prepared, first.family)
    folder, home = context.folder, None
    if context.shipping is not None:
        home = RunAtHome(context.files(folder.models), context.files(folder.states))
    if placement.workers > 1:
        # Ray Train gives the workers their places, and who starts them only waits.
        waits = task(evaluate_over_workers, cpus=0, gpus=0, retries=RETRIES)
        ((cell, kept),) = cells
        return waits.remote(cell, job, test, Keeping(folder, source, home), kept, grading, made)
    begin = partial(task, cpus=placement.cpus, gpus=placement.gpus, retries=RETRIES, node=placement.node)
    if len(cells) > 1:
        return begin(evaluate_together).remote(cells, job, test, Keeping(folder, home=home), grading, made)
    ((cell, kept),) = cells
    return begin(evaluate_cell).remote(cell, job, test, Keeping(folder, source, home), kept, grading, made)


def _kept(context: Context, prepared: Prepared, cell: Cell, job: Job) -> KeptModel:
    """What will be kept of a cell's model beside its weights."""
    setting = cell.setting
    return KeptModel(
        family=setting.family,
        variant=cell.variant,
        seed=cell.seed,
        config=setting.config,
        classes=job.problem.classes,
        shape=job.problem.shape,
        preprocessing=preprocessing_of(context.experiment.data, prepared.stores[setting.size].recipe, job, setting),
        code=code_version(context.own_code),
        precision={} if job.problem.precision == Precision() else asdict(job.problem.precision),
    )


def preprocessing_of(data: Data, recipe: Recipe, job: Job, setting: Setting) -> dict[str, Any]:
    """How a file becomes what the network takes, as `KeptModel.preprocessing` says it."""
    reading = {} if LAYOUTS[data.layout].plots else {"bits": recipe.bits, "upright": recipe.upright}
    return {
        **{"layout": data.layout, "column": data.column, "gaps": data.gaps, "decimal": data.decimal},
        **{"style": data.style, "size": list(setting.size), **reading},
        **{"identity": identity_of_colours(recipe), "resize": RESIZE, "channels": "RGB"},
        "normalisation": job.family.normalisation(job.family.config(**setting.config)),
    }

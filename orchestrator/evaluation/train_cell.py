"""The training of cells up to their best epochs: each by itself, or the seeds of one configuration together."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count

from torch import Tensor

from orchestrator.artifacts.at_work import EpochNote
from orchestrator.evaluation.cells import Cell
from orchestrator.evaluation.trained import Trained
from trainables.errors import ToldError
from trainables.interface import Model, Prediction
from trainables.small_files import NamedFile
from trainables.training.loop import Apart, EpochLoop
from trainables.training.past import Graded
from trainables.training.precision import first_line
from trainables.training.together import Together
from trainables.training.trial import Job, Stopping, epochs
from trainables.training.trial_state import TrialState
from trainables.training.usage import EnergyShare, PeakMemory, SharedEnergy
from trainables.training.watching import watched


def state_of(cell: Cell, job: Job) -> TrialState | None:
    """What the training of a cell goes on from; to be removed once its record is written."""
    return job.state_of(cell.setting.config, cell.seed, strategy=cell.setting.strategy, stage="evaluation")


def note_of(state: TrialState | None) -> NamedFile | None:
    """Where the worker of a training notes its epochs."""
    return None if state is None else state.beside(".epochs")


def train(cell: Cell, job: Job, on_epoch: Callable[[int], object] = bool) -> Trained | None:
    """The model of a cell as of its best epoch; None where the run is asked to stop before its end.

    `on_epoch` is called with the number of epochs that have ended, before the first and after each.
    """
    with watched(_mark_of(cell, job), job.epoch_seconds) as alive:
        training = _training(cell, job, alive.set, None)
        for done in count():
            try:
                next(training)
                on_epoch(done)
            except StopIteration as end:
                if job.span is not None:
                    job.span.dismiss()  # the others are needed no more
                trained: Trained | None = end.value
                return trained
    raise AssertionError("a training comes to its end")


def train_together(cells: Sequence[Cell], job: Job) -> list[Trained | ToldError | None]:
    """The models of cells that differ by their seeds, as of their best epochs; as one stacked network where they can.

    What ends one of them stands in its place, and ends no other. None where the run is asked to stop before its end.
    Their epochs are taken in turns, so the energy that the GPU drew meanwhile is shared out, and so is what they took
    of its memory.
    """
    found: list[Trained | ToldError | None] = [None] * len(cells)
    longest = None if job.epoch_seconds is None else job.epoch_seconds * len(cells)
    energy = SharedEnergy(job.problem.device, len(cells))
    with watched(_mark_of(cells[0], job), longest) as alive, ExitStack() as ready:
        trainings = [_training(cell, job, alive.set, energy.of(place)) for place, cell in enumerate(cells)]
        models: dict[int, Model] = {}

        def go_on(place: int) -> bool:
            """Whether it takes further epochs."""
            try:
                models[place] = next(trainings[place])
            except StopIteration as end:
                found[place] = end.value
                return False
            except Exception as error:
                # Not the error itself, which holds all that was computed.
                found[place] = ToldError.of(error)
                return False
            return True

        at_work = [place for place in range(len(cells)) if go_on(place)]
        if len(at_work) > 1:
            _stack([models[place] for place in at_work], job, ready)
        while at_work:
            energy.at_work = set(at_work)
            at_work = [place for place in at_work if go_on(place)]
    most = max((one.own_memory or 0 for one in found if isinstance(one, Trained)), default=0)
    return [replace(one, own_memory=most // len(cells)) if isinstance(one, Trained) else one for one in found]


def _mark_of(cell: Cell, job: Job) -> NamedFile | None:
    """What a training that hung has left."""
    state = state_of(cell, job)
    return None if state is None else state.beside(".hung")


def _stack(models: Sequence[Model], job: Job, ready: ExitStack) -> None:
    """Have them take their epochs as one; where they can't, each says so in its facts. `ready`: until their end.

    Where the run is asked to stop, or something fails, while they get ready, each meets that by itself.
    """
    assert job.family.stackable is not None
    loops: list[EpochLoop] = []
    try:
        for one in models:
            loops.append(ready.enter_context(job.family.stackable(one, job.train, job.validation)))
        Together(loops)
    except Exception as error:
        for loop in loops:
            loop.apart = str(error) if isinstance(error, Apart) else first_line(error)


def _training(
    cell: Cell, job: Job, alive: Callable[[], object], energy: EnergyShare | None
) -> Generator[Model, None, Trained | None]:
    """Gives the model before its first epoch and after each, and returns it as of its best one."""
    history: list[dict[str, float]] = []
    weights: dict[str, Tensor] = {}
    last = None
    state = state_of(cell, job)
    note = EpochNote(note_of(state))
    try:
        memory = PeakMemory(job.problem.device)
        model = job.build(cell.setting.config, cell.seed, job.pulse(alive))
        yield model
        for graded in epochs(model, job, cell.setting.strategy, state, weights, memory=memory, energy=energy):
            alive()
            history.append({"epoch": float(graded.epoch), **graded.row})
            last = graded
            note.write(history, graded.seconds, graded.best[job.metric])
            if not graded.finished and job.stopping():
                return None
            yield model
    except Stopping:
        if job.span is not None:
            raise  # in the midst of what the others do, too
        return None
    finally:
        note.remove()
    assert isinstance(last, Graded), "a family yields at least one epoch"
    model.load_weights(weights)
    # A classifier has no maps, so its scores of the best epoch are all there is to know.
    detection = job.family.task == "detection"
    validation = model.predict(job.validation) if detection else Prediction(last.scores)
    return Trained(
        model=model,
        weights=weights,
        history=history,
        epoch=last.best_epoch,
        validation=validation,
        facts=model.facts(),
        peak_memory=last.peak_memory,
        own_memory=last.own_memory,
        available_memory=last.available_memory or None,
        energy=last.energy,
    )

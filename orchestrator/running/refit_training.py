"""The trainings of a refit: the model itself, and where nothing is held out, those that score what they did not see."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.provenance import code_version
from orchestrator.evaluation.cells import Cell
from orchestrator.evaluation.train_cell import train
from orchestrator.evaluation.trained import Trained
from orchestrator.experiment.checks import CHANNELS
from orchestrator.experiment.goal import VALIDATION_LOSS, Goal
from orchestrator.families import family_row
from orchestrator.machine.resources import local_resources
from orchestrator.running.refit_data import RefitData, Rows
from orchestrator.running.refit_source import Source
from orchestrator.scoring.judge import Judge
from trainables.cache import own_cache
from trainables.errors import InputError
from trainables.interface import Precision, Prediction, Problem, Samples
from trainables.training.trial import Job

Told = Callable[[int, int], object]
"""Called with the number of a training, from 0, and its epochs that have ended."""


@dataclass(frozen=True)
class Held:
    """Scores of validation pictures by models that did not train on them."""

    prediction: Prediction
    samples: Samples
    metrics: dict[str, float]


@dataclass(frozen=True)
class Refitting:
    """All that the trainings of one refit share."""

    source: Source
    data: RefitData
    goal: Goal
    judge: Judge
    job: Job
    """Without its samples."""
    everything: bool
    """Whether validation is trained on."""
    with_test: bool
    """Whether the test part is, too."""
    folds: int
    """Of validation, each scored by a model that did not train on it; 0: there are none."""

    @property
    def epochs(self) -> int:
        """The most of each training."""
        return self.source.epoch if self.everything else self.source.setting.epochs

    def run(self, on_epoch: Told) -> tuple[Trained, Held | None] | None:
        """The model, and held-out scores where there are any; None where the work is asked to stop before its end."""
        if not self.everything:
            return self._held_out(partial(on_epoch, 0))
        held = self._cross_fitted(on_epoch) if self.folds else None
        if self.folds and held is None:
            return None
        trained = self._with_validation(partial(on_epoch, self.folds))
        return None if trained is None else (trained, held)

    def _held_out(self, on_epoch: Callable[[int], object]) -> tuple[Trained, Held] | None:
        """Train on the training part; validation is held out and chooses the epoch."""
        rows = self.data.validation
        samples = self.data.held_out(rows, masks=self.goal.pixel)
        job = self._job(np.empty(0, dtype=np.int64), rows, samples)
        trained = self._train(job, on_epoch)
        return None if trained is None else (trained, self._held(trained.validation, samples))

    def _with_validation(self, on_epoch: Callable[[int], object]) -> Trained | None:
        """Train on validation, too, for as many epochs as it chose when it was held out."""
        rows = self.data.validation
        return self._train(self._fixed(self._job(rows, rows, self.data.held_out(rows))), on_epoch)

    def _cross_fitted(self, on_epoch: Told) -> Held | None:
        """Score each validation picture by a model that is trained likewise, but for its fold of validation."""
        rows = self.data.validation
        every = self.data.held_out(rows, masks=self.goal.pixel)
        fold = dealt(every.labels, every.groups, self.folds)
        scores: NDArray[np.float64] | None = None
        maps: NDArray[np.float32] | None = None
        for number in range(self.folds):
            here = np.flatnonzero(fold == number)
            job = self._fixed(self._job(rows[fold != number], rows[here], self.data.held_out(rows[here])))
            trained = self._train(job, partial(on_epoch, number))
            if trained is None:
                return None
            found = trained.validation
            scores = np.empty((len(rows), *found.scores.shape[1:])) if scores is None else scores
            scores[here] = found.scores
            if found.maps is not None:
                maps = np.empty((len(rows), *found.maps.shape[1:]), dtype=np.float32) if maps is None else maps
                maps[here] = found.maps
        assert scores is not None
        return self._held(Prediction(scores, maps), every)

    def _held(self, prediction: Prediction, samples: Samples) -> Held:
        return Held(prediction, samples, self.judge(prediction, samples, self.source.setting.strategy))

    def _job(self, added: Rows, held: Rows, validation: Samples) -> Job:
        problem = replace(self.job.problem, data=self.data.fingerprint(added, held))
        return replace(self.job, problem=problem, train=self.data.train(added), validation=validation)

    def _fixed(self, job: Job) -> Job:
        """The same where validation chooses nothing. The schedule follows the losses that the evaluated cell had."""
        problem = replace(job.problem, followed=self.source.losses)
        return replace(
            job,
            problem=problem,
            grade=_ungraded,
            metric=VALIDATION_LOSS,
            mode="min",
            patience=None,
            exactly=self.source.epoch,
        )

    def _train(self, job: Job, on_epoch: Callable[[int], object]) -> Trained | None:
        source = self.source
        cell = Cell(
            setting=source.setting,
            variant=source.record.variant,
            seed=source.seed,
            patience=job.patience,
            data=source.split.data,
            split=source.split.fingerprint,
        )
        return train(cell, job, on_epoch)


def _ungraded(prediction: Prediction, samples: Samples, strategy: str | None) -> dict[str, float]:
    """Nothing: the samples may be trained on, or too few to be judged by."""
    return {}


def job_for(source: Source, goal: Goal, judge: Judge, data: RefitData, device: str, **places: Any) -> Job:
    """What the trainings are handed, as the run's own cells were. `places`: where they keep their states, and stop."""
    experiment = source.experiment
    nothing = data.held_out(np.empty(0, dtype=np.int64))
    return Job(
        family=family_row(source.setting.family).family,
        problem=Problem(
            classes=nothing.classes,
            shape=(*source.setting.size, CHANNELS),
            epochs=source.setting.epochs,
            device=device,
            depth=data.store.depth is not None,
            cache=own_cache(),
            precision=replace(Precision(**source.kept.precision), fused=False),
        ),
        train=nothing,
        validation=nothing,
        grade=judge,
        metric=goal.metric,
        mode=goal.mode,
        patience=experiment.budget.patience,
        threads=max(1, int(local_resources().cpus)),
        code=code_version(experiment.own_code),
        **places,
    )


def folds_for(labels: NDArray[np.int64], groups: tuple[str, ...], wanted: int, detection: bool) -> int:
    """Into how many folds validation can be dealt, at most `wanted`; InputError where it can't be."""
    sides = np.array(groups)[labels == 0] if detection else np.array(groups)
    most = len(np.unique(sides))
    if most < 2:
        raise InputError(
            f"Validation holds {most} {'normal ' if detection else ''}source pictures, and the threshold is fitted to "
            "scores of folds of them, 2 at least. Take the evaluated model's threshold as it is: --folds 0."
        )
    return min(wanted, most)


def dealt(labels: NDArray[np.int64], groups: tuple[str, ...], folds: int, seed: int = 0) -> Rows:
    """(N,): the fold of each picture. Source pictures stay whole, and each class is spread over the folds."""
    _, first, numbers = np.unique(np.array(groups), return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(labels[first][order], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % folds
    return fold[numbers]

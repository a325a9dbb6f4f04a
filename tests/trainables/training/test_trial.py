"""A training that is broken off and goes on: graded as if it had never stopped."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from orchestrator.families import FAMILIES
from orchestrator.scoring.judge import Judge
from trainables.interface import Problem, Samples
from trainables.small_files import FolderFiles, NamedFile
from trainables.training.past import Graded
from trainables.training.trial import Job, Workers, epochs
from trainables.training.trial_state import TrialState

Weights = dict[str, torch.Tensor]
EPOCHS = 6
OF: dict[str, Any] = {"strategy": None, "stage": "search"}
CONFIG: dict[str, Any] = {
    "backbone": "shufflenet_v2_x0_5",
    "weights": "none",
    "batch_size": 8,
    "augmentation": 0.5,
    "learning_rate": 3e-3,
}


@pytest.fixture
def job(make_samples: Any, tmp_path: Path) -> Job:
    train, validation = make_samples(24, 1), make_samples(12, 2)
    return job_for(train, validation, tmp_path)


def job_for(train: Samples, validation: Samples, folder: Path, patience: int | None = None) -> Job:
    return Job(
        family=FAMILIES["plot_classifier"].family,
        problem=Problem(train.classes, (32, 32, 3), EPOCHS, data="these"),
        train=train,
        validation=validation,
        grade=Judge("classification"),
        metric="log_loss",
        mode="min",
        patience=patience,
        threads=1,
        states=FolderFiles(folder / "states"),
        stop=NamedFile(FolderFiles(folder), "stop"),
    )


class Eager(TrialState):
    """Saves after every epoch."""

    def due(self) -> bool:
        return True


def train(job: Job, stop: int | None = None, best: Weights | None = None) -> list[Graded]:
    state = job.state_of(CONFIG, 0, **OF)
    assert state is not None
    training: Iterator[Graded] = epochs(job.build(CONFIG, 0), job, None, Eager(state.files, state.key), best)
    if stop is None:
        return list(training)
    return [graded for graded, _ in zip(training, range(stop), strict=False)]


def told(graded: Graded) -> tuple[Any, ...]:
    return graded.epoch, graded.row, graded.best_epoch, graded.best, graded.improved, graded.finished


@pytest.fixture(scope="module")
def unbroken(make_samples: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Graded], Weights]:
    """What a training gives that is never broken off, and its best weights."""
    job = job_for(make_samples(24, 1), make_samples(12, 2), tmp_path_factory.mktemp("unbroken"))
    weights: Weights = {}
    return list(epochs(job.build(CONFIG, 0), job, None, None, weights)), weights


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_broken_off_and_gone_on(job: Job, unbroken: tuple[list[Graded], Weights], stop: int) -> None:
    whole, whole_weights = unbroken
    before: Weights = {}
    first = train(job, stop, before)
    assert [told(one) for one in first] == [told(one) for one in whole[:stop]]
    after: Weights = {}
    again = train(job, None, after)
    assert [told(one) for one in again] == [told(one) for one in whole]
    assert after.keys() == whole_weights.keys()
    assert all(torch.equal(after[name], whole_weights[name]) for name in after)
    last = max((one for one in again if one.improved), key=lambda one: one.epoch)
    other = max((one for one in whole if one.improved), key=lambda one: one.epoch)
    np.testing.assert_array_equal(last.scores, other.scores)


def test_a_spoiled_state_starts_again(job: Job, unbroken: tuple[list[Graded], Weights]) -> None:
    whole, _ = unbroken
    train(job, 3)
    (file,) = cast(FolderFiles, job.states).folder.iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    assert [told(one) for one in train(job)] == [told(one) for one in whole]


def test_patience_counts_over_the_break(job: Job, make_samples: Any, tmp_path: Path) -> None:
    tired = job_for(job.train, job.validation, tmp_path / "tired", patience=1)
    whole = list(epochs(tired.build(CONFIG, 0), tired))
    train(tired, 1)
    assert [told(one) for one in train(tired)] == [told(one) for one in whole]
    assert whole[-1].finished


@pytest.mark.parametrize("stop", [None, 1])
def test_where_nothing_is_held_out_it_takes_its_epochs_and_keeps_the_last(job: Job, stop: int | None) -> None:
    patient = replace(job, patience=1, mode="max")  # by which the first epoch would be the best
    fixed, kept = replace(patient, exactly=3), Weights()
    if stop is not None:
        train(fixed, stop)
    graded = train(fixed, None, kept)
    assert [one.finished for one in graded] == [False, False, True]
    assert (graded[-1].best_epoch, graded[-1].improved) == (3, True)
    assert len(graded[-1].scores) == len(job.validation)
    model = job.build(CONFIG, 0)
    for _ in zip(model.fit(job.train, job.validation), range(3), strict=False):
        last = model.weights()
    assert all(torch.equal(kept[name], last[name]) for name in last)
    assert patient.identity(CONFIG, 0) != fixed.identity(CONFIG, 0)


def test_how_many_share_a_training_decides_it_and_what_each_reserves_does_not(job: Job) -> None:
    two, more = (replace(job, workers=Workers(2, cpus, 0)).identity(CONFIG, 0) for cpus in (1, 4))
    assert two == more
    assert two == job.identity(CONFIG, 0) | {"workers": 2}


def test_asked_to_stop_it_saves_after_its_epoch(job: Job) -> None:
    state = job.state_of(CONFIG, 0, **OF)
    assert state is not None
    training = epochs(job.build(CONFIG, 0), job, None, state)
    next(training)
    assert state.load() is None  # too short a time to be worth a file
    assert job.stop is not None
    job.stop.write(wait=False)
    next(training)
    training.close()
    job.stop.remove()
    assert [one.epoch for one in train(job)] == list(range(1, EPOCHS + 1))


def test_another_code_or_configuration_has_another_state(job: Job) -> None:
    first, second = job.state_of(CONFIG, 0, **OF), job.state_of({**CONFIG, "learning_rate": 1e-3}, 0, **OF)
    assert first is not None
    assert second is not None
    assert len({first.key, second.key, job.state_of(CONFIG, 1, **OF).key}) == 3  # type: ignore[union-attr]

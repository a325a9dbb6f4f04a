"""The seeds of one configuration, trained together: each ends as it would have ended by itself."""

import errno
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.evaluation.cells import Cell
from orchestrator.evaluation.train_cell import state_of, train, train_together
from orchestrator.evaluation.trained import Trained
from orchestrator.experiment.settings import Setting
from orchestrator.families import FAMILIES
from orchestrator.scoring.judge import Judge
from trainables.errors import ToldError
from trainables.interface import Model, Precision, Problem, Samples
from trainables.small_files import FolderFiles, NamedFile
from trainables.testing import make_samples
from trainables.training.loop import EpochLoop
from trainables.training.trial import Job, Stopping

SIZE, EPOCHS = (32, 32), 4
CONFIGS: dict[str, dict[str, Any]] = {
    "conv_autoencoder": {"batch_size": 8, "augmentation": 1.0},
    "vae": {"batch_size": 8, "latent_dim": 4, "dropout": 0.2},
    "plot_classifier": {
        "backbone": "resnet18",
        "weights": "none",
        "train_layers": "head",
        "augmentation": 0.0,
        "batch_size": 8,
        "class_weights": "balanced",
        "learning_rate": 1e-5,  # so that rounding does not grow from step to step
    },
}
Made = tuple[Job, list[Cell]]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Made]:
    """A family's job, and three cells that differ by their seeds."""

    def make(name: str, **keys: Any) -> Made:
        family, train, validation = FAMILIES[name].family, make_samples(24, 1), make_samples(12, 2)
        if family.task == "detection":
            names = ("normal", "anomaly")
            train = replace(train, labels=np.zeros(24, dtype=np.int64), classes=names)
            validation = replace(validation, labels=np.arange(12) % 2, classes=names)
        job = Job(
            family=family,
            problem=Problem(train.classes, (*SIZE, 3), EPOCHS, data="these"),
            train=train,
            validation=validation,
            grade=Judge(family.task),
            metric="validation_loss",
            mode="min",
            patience=None,
            threads=1,
            states=FolderFiles(tmp_path / "states"),
            stop=NamedFile(FolderFiles(tmp_path), "stop"),
        )
        strategy = "youden" if family.task == "detection" else None
        setting = Setting(family=name, config=CONFIGS[name], size=SIZE, epochs=EPOCHS, strategy=strategy)
        of = {"setting": setting, "variant": name, "patience": None, "data": "d", "split": "s"}
        return replace(job, **keys), [Cell(**of, seed=seed) for seed in (3, 4, 5)]

    return make


def same(one: Trained | ToldError | None, other: Trained | None) -> None:
    assert isinstance(one, Trained)
    assert other is not None
    assert one.epoch == other.epoch
    for row, expected in zip(one.history, other.history, strict=True):
        losses = {name: value for name, value in row.items() if "loss" in name}
        assert losses == pytest.approx({name: expected[name] for name in losses}, rel=1e-3)
    np.testing.assert_allclose(one.validation.scores, other.validation.scores, rtol=5e-3)


@pytest.mark.parametrize("name", CONFIGS)
def test_each_seed_ends_as_it_would_have_by_itself(made: Callable[..., Made], name: str) -> None:
    job, cells = made(name)
    alone = [train(cell, job) for cell in cells]
    found = train_together(cells, job)
    for one, other in zip(found, alone, strict=True):
        same(one, other)
        assert isinstance(one, Trained)
        assert one.facts["computed"] == "stacked with 2 of other seeds"
        assert other is not None
        assert "computed" not in other.facts
    memories = {one.own_memory for one in found if isinstance(one, Trained)}
    assert len(memories) == 1, "what they took is shared out"
    assert len({one.history[-1]["train_loss"] for one in found if isinstance(one, Trained)}) == 3


def test_what_ends_one_ends_no_other_and_one_may_leave_before(made: Callable[..., Made]) -> None:
    job, cells = made("conv_autoencoder", patience=1)
    build = job.family.build

    def broken(config: Any, problem: Problem, seed: int) -> Model:
        model = build(config, problem, seed)
        if seed == 4:

            def fails(samples: Samples) -> Any:
                raise RuntimeError("it fell over")

            model.predict = fails  # type: ignore[method-assign]
        return model

    first, second, third = train_together(cells, replace(job, family=replace(job.family, build=broken)))
    assert isinstance(second, ToldError)
    assert second.text.endswith("RuntimeError: it fell over\n")
    same(first, train(cells[0], job))
    same(third, train(cells[2], job))


def test_the_seeds_of_a_stopped_run_go_on_together(made: Callable[..., Made]) -> None:
    job, cells = made("vae")
    whole = [train(cell, replace(job, states=None)) for cell in cells]
    assert job.stop is not None
    job.stop.write(wait=False)
    assert train_together(cells, job) == [None, None, None]
    assert all((state := state_of(cell, job)) and state.file.exists() for cell in cells)
    job.stop.remove()
    for one, other in zip(train_together(cells, job), whole, strict=True):
        same(one, other)


def test_networks_that_can_not_be_stacked_take_turns_and_say_why(made: Callable[..., Made]) -> None:
    job, cells = made("conv_autoencoder")
    build = job.family.build

    def uneven(config: Any, problem: Problem, seed: int) -> Model:
        return build(config.model_copy(update={"batch_size": 8 + seed % 2}), problem, seed)

    job = replace(job, family=replace(job.family, build=uneven))
    for one, other in zip(train_together(cells, job), [train(cell, job) for cell in cells], strict=True):
        assert isinstance(one, Trained)
        assert other is not None
        assert one.history == other.history
        assert one.facts["computed"] == "not stacked (they need one batch size)"


def test_the_choice_is_part_of_what_a_state_belongs_to(made: Callable[..., Made]) -> None:
    job, (cell, *_) = made("vae")
    fused = replace(job, problem=replace(job.problem, precision=Precision(fused=True)))
    keys = [state.key for one in (job, fused) if (state := state_of(cell, one))]
    assert len(set(keys)) == 2


@pytest.mark.parametrize("stopped", [True, False])
def test_what_happens_while_they_get_ready_each_meets_by_itself(made: Callable[..., Made], stopped: bool) -> None:
    job, cells = made("conv_autoencoder")
    entered: list[int] = []

    @contextmanager
    def ready(model: Any, train: Samples, validation: Samples) -> Iterator[EpochLoop]:
        entered.append(1)
        if len(entered) == 2:
            if stopped:
                assert job.stop is not None
                job.stop.write(wait=False)
                raise Stopping
            raise OSError("the features can't be read")
        yield model.loop

    found = train_together(cells, replace(job, family=replace(job.family, stackable=ready)))
    if stopped:
        assert found == [None, None, None]
        return
    for one, other in zip(found, [train(cell, job) for cell in cells], strict=True):
        assert isinstance(one, Trained)
        assert other is not None
        assert one.history == other.history


def test_an_error_keeps_nothing_alive_and_can_be_sent_on(made: Callable[..., Made]) -> None:
    class TwoWords(Exception):
        def __init__(self, first: str, second: str) -> None:
            super().__init__(first)

    job, cells = made("conv_autoencoder")
    build = job.family.build

    def full(config: Any, problem: Problem, seed: int) -> Model:
        if seed == 3:
            raise TwoWords("one", "two")
        if seed == 5:
            raise OSError(errno.ENOSPC, "No space left on device", "/some/file")
        return build(config, problem, seed)

    first, second, third = pickle.loads(
        pickle.dumps([
            one if isinstance(one, ToldError) else None
            for one in train_together(cells, replace(job, family=replace(job.family, build=full)))
        ])
    )  # fmt: skip
    assert "TwoWords: one" in first.text
    assert (first.disk, second) == (None, None)
    assert (third.disk.errno, third.disk.filename) == (errno.ENOSPC, "/some/file")

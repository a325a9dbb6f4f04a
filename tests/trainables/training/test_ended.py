"""A finished training is judged anew as if it had been trained anew."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.families import FAMILIES
from orchestrator.scoring.judge import Judge
from trainables.interface import Problem, Samples
from trainables.small_files import FolderFiles
from trainables.training.ended import Ended, ended_state, read_ended, remove_ended
from trainables.training.past import Graded, Past
from trainables.training.trial import Job, epochs

EPOCHS = 12
CONFIG: dict[str, Any] = {"architecture": "B", "batch_size": 8, "learning_rate": 0.01, "augmentation": 0.0}
STRATEGIES = ("youden", "percentile(60)", "max_normal", "midpoint_of_means")


def with_masks(samples: Samples) -> Samples:
    masks = np.zeros((len(samples), 32, 32), np.uint8)
    masks[samples.labels == 1, 8:24, 14:18] = 255
    return replace(samples, masks=masks, masked=np.ones(len(samples), bool))


@pytest.fixture(scope="module")
def job(make_samples: Any, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Judged by the balanced accuracy, which each threshold strategy has a best epoch of its own for."""
    train = make_samples(16, 1, detection=True, normal_only=True)
    validation = make_samples(24, 2, detection=True)
    return Job(
        family=FAMILIES["conv_autoencoder"].family,
        problem=Problem(train.classes, (32, 32, 3), EPOCHS, data="these"),
        train=train,
        validation=validation,
        grade=Judge("detection", STRATEGIES, cross_fit=True),
        metric="balanced_accuracy",
        mode="max",
        patience=None,
        threads=1,
        states=FolderFiles(tmp_path_factory.mktemp("states")),
    )


def trained(job: Job, strategy: str | None) -> tuple[list[Graded], Past]:
    """The epochs of a training, and what is known at its end."""
    pasts: list[Past] = []
    found = list(epochs(job.build(CONFIG, 0), job, strategy, ended=pasts.append))
    return found, pasts[0]


def told(graded: Graded) -> tuple[Any, ...]:
    return graded.epoch, graded.row, graded.best_epoch, graded.best, graded.improved, graded.finished


def same(ours: list[Graded], theirs: list[Graded]) -> None:
    assert [told(one) for one in ours] == [told(one) for one in theirs]
    last, other = ([one for one in ones if one.improved][-1] for ones in (ours, theirs))
    np.testing.assert_array_equal(last.scores, other.scores)


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_any_strategy_judges_it_as_if_it_had_been_trained_by_it(job: Job, patience: int | None, masked: bool) -> None:
    validation = with_masks(job.validation) if masked else job.validation
    job = replace(job, patience=patience, validation=validation)
    by_strategy = {strategy: trained(job, strategy) for strategy in (*STRATEGIES, None)}
    lengths, best = (
        {values(found) for found, _ in by_strategy.values()} for values in (len, lambda one: one[-1].best_epoch)
    )
    assert len(best) > 1, "strategies must choose epochs of their own, or this shows little"
    assert (len(lengths) > 1) is (patience is not None)
    beyond = 0
    for _, past in by_strategy.values():
        for strategy, (whole, _) in by_strategy.items():
            again = past.judged_again(job, strategy)
            if len(past.rows) < len(whole):
                assert again is None
                beyond += 1
            else:
                assert again is not None
                same(list(again.replayed(job)), whole)
    assert (beyond > 0) is (patience is not None)
    assert ("pro_auc" in by_strategy[None][0][0].row) is masked


def test_a_file_gives_it_back_to_the_last_bit_whatever_judges(job: Job) -> None:
    whole, past = trained(job, "youden")
    state = ended_state(job, CONFIG, 0)
    assert state is not None
    assert read_ended(state) is None
    Ended(past, "v", 3, 7, {"a": "b"}).keep(state)
    other = ended_state(replace(job, grade=Judge("detection", ("youden",))), {**CONFIG, "optimizer": "adamw"}, 0)
    assert other is not None
    found = read_ended(other)
    assert found is not None, "the default written out is the same training, and who judges it does not matter"
    assert (found.study, found.trial, found.parameters, found.facts) == ("v", 3, 7, {"a": "b"})
    again = found.past.judged_again(job, "youden")
    assert again is not None
    same(list(again.replayed(job)), whole)
    for changed in (ended_state(job, CONFIG, 1), ended_state(job, {**CONFIG, "learning_rate": 0.02}, 0)):
        assert changed is not None
        assert read_ended(changed) is None
    problem = replace(job.problem, epochs=EPOCHS + 1)
    for otherwise in (replace(job, problem=problem), replace(job, patience=5), replace(job, code="other")):
        longer = ended_state(otherwise, CONFIG, 0)
        assert longer is not None
        assert read_ended(longer) is None


def test_a_cut_or_foreign_file_is_trained_again(job: Job, tmp_path: Path) -> None:
    _, past = trained(job, "youden")
    state = ended_state(replace(job, states=FolderFiles(tmp_path)), CONFIG, 0)
    assert state is not None
    Ended(past, "v", 3, 7, {}).keep(state)
    path = tmp_path / state.file.name
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert read_ended(state) is None
    path.write_bytes(whole)
    assert read_ended(state) is not None
    state.save({**past.content(), "about": '{"no": "such"}'})
    assert read_ended(state) is None
    assert [path.suffix for path in tmp_path.iterdir()] == [".foreign"]
    Ended(past, "v", 3, 7, {}).keep(state)
    remove_ended(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".foreign"]


def test_without_room_for_it_the_trial_ends_all_the_same(job: Job, tmp_path: Path) -> None:
    _, past = trained(job, "youden")
    (tmp_path / "file").touch()
    state = ended_state(replace(job, states=FolderFiles(tmp_path / "file")), CONFIG, 0)
    assert state is not None
    Ended(past, "v", 3, 7, {}).keep(state)
    assert ended_state(replace(job, states=None), CONFIG, 0) is None

"""Kept test scores: aligned by path, never unpickled, and whatever is wrong with them is said."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.predictions import read_scores
from orchestrator.report.numbers.run_data import read_run

MakeRun = Callable[..., RunFolder]


def test_seeds_are_aligned_by_path(make_run: MakeRun) -> None:
    run = make_run(search=0, seeds=(0, 1))
    path = run.predictions("resnet18", 1)
    with np.load(path) as kept:
        arrays = dict(kept)
    order = np.random.default_rng(1).permutation(len(arrays["labels"]))
    np.savez_compressed(path, **{name: array if name == "classes" else array[order] for name, array in arrays.items()})
    found, reason = read_scores(data := read_run(run), data.completed["resnet18"])
    assert reason == ""
    assert found is not None
    assert found.seeds == (0, 1)
    by_path = {bytes(one): row for one, row in zip(arrays["paths"], arrays["scores"], strict=True)}
    for one, row in zip(found.paths, found.scores[1], strict=True):
        np.testing.assert_array_equal(row, by_path[bytes(one)])


class Trap:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


def test_pickles_stay_shut(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(search=0, seeds=(0,))
    mark = tmp_path / "mark"
    path = run.predictions("resnet18", 0)
    np.savez(path, scores=np.array([Trap(mark)], dtype=object), labels=[0], paths=[b"a"], classes=[b"a"])
    found, reason = read_scores(data := read_run(run), data.completed["resnet18"])
    assert found is None
    assert "can't be read" in reason
    assert not mark.exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "seed 1 are missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "can't be read"),
        (lambda path: path.write_bytes(b""), "can't be read"),
        (lambda path: np.savez(path, scores=np.ones((2, 2)), labels=[0, 1], paths=[b"x", b"y"]), "seed 1 differ"),
    ],
)
def test_bad_scores_are_said(make_run: MakeRun, damage: Callable[[Path], None], words: str) -> None:
    run = make_run(search=0, seeds=(0, 1))
    damage(run.predictions("resnet18", 1))
    found, reason = read_scores(data := read_run(run), data.completed["resnet18"])
    assert found is None
    assert words in reason

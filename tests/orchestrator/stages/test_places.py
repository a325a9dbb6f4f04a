"""Which cells one worker trains: alone, or with their other seeds as one network."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.evaluation.cells import Cell
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import Placement
from orchestrator.experiment.settings import Setting
from orchestrator.machine.offered import Offered
from orchestrator.stages.places import MOST_STACKED, Places


def cell(seed: int, rate: float = 1e-3, family: str = "vae") -> Cell:
    config = {"learning_rate": rate} if family == "vae" else {}
    setting = Setting(family=family, config=config, size=(32, 32), epochs=2, strategy="youden")
    return Cell(setting=setting, variant=family, seed=seed, patience=None, data="d", split="s")


def places(folder: Path, cells: list[Cell], gpus: float = 1, able: Any = lambda cell: True) -> Places:
    experiment = Experiment.from_mapping({"data": {"path": str(folder)}, "families": ["vae", "pca"]})
    context: Any = SimpleNamespace(
        experiment=experiment,
        winners_in=RunFolder(folder),
        offered=Offered(8, gpus),
        now=lambda: Offered(8, gpus),
        placements={"vae": Placement("cuda", 1, 1, int(gpus)), "pca": Placement("cpu", 1, 0, 8)},
    )
    return Places(context, cells, able)


def seeds(taken: list[Cell]) -> list[int]:
    return [one.seed for one in taken]


def test_the_seeds_of_one_configuration_are_taken_together(tmp_path: Path) -> None:
    waiting = [cell(0), cell(7, 1e-2), cell(1), cell(0, family="pca"), cell(2)]
    there = places(tmp_path, waiting, able=lambda one: one.setting.family == "vae")
    first = there.take(waiting, [])
    assert seeds(first) == [0, 1, 2]
    assert there.of(*first) == Placement("cuda", 1, 1, 1)
    # The GPU is taken; what needs none has room.
    second = there.take(waiting, [first])
    assert [one.setting.family for one in second] == ["pca"]
    assert there.take(waiting, [first, second]) == []
    assert seeds(there.take(waiting, [second])) == [7]
    assert waiting == []


@pytest.mark.parametrize(("gpus", "expected"), [(1, [5]), (2, [3, 2]), (5, [1] * 5), (8, [1] * 5)])
def test_they_are_spread_over_the_gpus_that_are_there(tmp_path: Path, gpus: int, expected: list[int]) -> None:
    waiting = [cell(seed) for seed in range(5)]
    there = places(tmp_path, waiting, gpus)
    running: list[list[Cell]] = []
    while taken := there.take(waiting, running):
        running.append(taken)
    assert [len(one) for one in running] == expected


def test_what_found_no_memory_is_tried_by_itself(tmp_path: Path) -> None:
    waiting = [cell(seed) for seed in range(3)]
    there = places(tmp_path, waiting)
    taken = there.take(waiting, [])
    assert all(there.again_alone(one, beside=2) for one in taken)
    waiting = list(taken)
    for seed in range(3):
        again = there.take(waiting, [])
        assert seeds(again) == [seed]
        assert there.take(waiting, [again]) == []
        assert not there.again_alone(again[0], beside=0)


def test_no_more_than_so_many_are_taken_at_once(tmp_path: Path) -> None:
    waiting = [cell(seed) for seed in range(MOST_STACKED + 4)]
    assert len(places(tmp_path, waiting).take(waiting, [])) == MOST_STACKED
    assert len(waiting) == 4

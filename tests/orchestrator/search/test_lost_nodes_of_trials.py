"""Trials whose nodes are lost run again, those that need a larger GPU on it, and as many as a cluster has room for."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builders.provenance import PROVENANCE

from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import Placement
from orchestrator.machine.lives import NODES_LOST
from orchestrator.machine.offered import AHEAD, Card, Offered, Room
from orchestrator.scoring.judge import Judge
from orchestrator.search.ledger import Ledger
from orchestrator.search.run_study import at_once, open_searcher, wave
from orchestrator.search.study import Study
from trainables.interface import Problem, Samples
from trainables.pca_logistic import FAMILY
from trainables.training.trial import Job

SAMPLES = Samples(np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1]), ("a", "b"), ("1", "2"))
GIB = 2**30
CARDS = (Card("small", 16 * GIB, 15 * GIB, "10.0.0.1"), Card("large", 80 * GIB, 79 * GIB, "10.0.0.2"))
UNLIKE = Offered(16, 2, CARDS, elsewhere=True, rooms=(Room(8, 1, "10.0.0.1"), Room(8, 1, "10.0.0.2")))
NODE = "The actor died because its node has died. Node Id: 1f"
WORKER = "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"


class Searched:
    """A study on a cluster, with Tune's calls made by hand."""

    def __init__(self, folder: Path, offered: Offered) -> None:
        experiment = Experiment.from_mapping({"data": {"path": "."}, "families": ["pca_logistic"]})
        self.offered, self.folder = offered, folder
        self.study = Study(
            experiment=experiment,
            variant=experiment.families[0],
            training_seed=1000,
            journal=folder / "v.journal",
            earlier=(),
            trials=10,
            placement=Placement("cuda", 1, 1, 1),
            seconds=None,
            scratch=folder / "scratch",
            provenance=lambda: PROVENANCE,
            on_record=lambda record, strategy, scores: record,
            offered=offered,
            now=lambda: self.offered,
        )
        problem = Problem(("a", "b"), (8, 8, 3), 9)
        job = Job(FAMILY, problem, SAMPLES, SAMPLES, Judge("classification"), "macro_f1", "max", None, 1)
        self.ledger = Ledger(self.study, job)
        self.ledger.searcher = open_searcher(self.study, (), job, lambda: False)

    def given_up(self, name: str, *deaths: str) -> Any:
        """A trial that Tune gives up after so many deaths, as it notes them."""
        trial: Any = SimpleNamespace(
            trial_id=name,
            config=self.ledger.searcher.suggest(name),
            error_file=str(self.folder / "error.txt"),
            temporary_state=SimpleNamespace(ray_actor=None),
        )
        text = "".join(f"Failure # {number} (occurred at 2026)\n{one}\n" for number, one in enumerate(deaths, start=1))
        (self.folder / "error.txt").write_text(text, encoding="utf-8")
        for _ in deaths:
            self.ledger.on_trial_start(0, [], trial)
        self.ledger.on_trial_error(0, [], trial)
        return trial.config["number"]


def test_a_trial_is_given_up_for_deaths_of_its_own_and_not_for_those_of_its_nodes(tmp_path: Path) -> None:
    searched = Searched(tmp_path, UNLIKE)
    assert searched.given_up("a", WORKER, NODE, WORKER) == 0
    assert searched.given_up("b", NODE, NODE, NODE) == 0
    assert searched.ledger.records == []
    assert searched.given_up("c", NODE, NODE, WORKER) == 0  # its third
    assert [(one.trial, one.status) for one in searched.ledger.records] == [(0, "failed")]
    for name in range(NODES_LOST // 3):
        assert searched.given_up(f"d{name}", NODE, NODE, NODE) == 1
    assert len(searched.ledger.records) == 1
    assert searched.given_up("e", NODE, NODE, NODE) == 1
    assert [one.trial for one in searched.ledger.records] == [0, 1]


def test_what_found_no_memory_on_a_small_gpu_is_tried_on_the_largest_that_is_there(tmp_path: Path) -> None:
    searched = Searched(tmp_path, UNLIKE)
    searched.given_up("a", "CUDA out of memory", "CUDA out of memory", "CUDA out of memory")
    assert searched.ledger.records == []
    alone = searched.ledger.take_crowded()
    searched.ledger.placement, count = wave(searched.study, alone, 0, ())
    assert (alone, count, searched.ledger.placement.node) == ([0], 1, "10.0.0.2")
    assert not searched.ledger.stranded()
    searched.offered = replace(UNLIKE, rooms=UNLIKE.rooms[:1])
    assert searched.ledger.stranded()
    searched.ledger.searcher.again(0)
    searched.ledger.on_trial_start(
        0,
        [],
        SimpleNamespace(
            trial_id="b", config=searched.ledger.searcher.suggest("b"), temporary_state=SimpleNamespace(ray_actor=None)
        ),  # type: ignore[arg-type]
    )
    searched.ledger.crowd_open()
    assert wave(searched.study, searched.ledger.take_crowded(), 0, ())[0].node == ""


@pytest.mark.parametrize(
    ("offered", "most", "count"),
    [
        (UNLIKE, None, 2),
        (UNLIKE, 1, 1),
        (replace(UNLIKE, rooms=(Room(8, 0),)), None, 0),
        (replace(UNLIKE, growing=True), None, 2 + AHEAD),
        (replace(UNLIKE, growing=True), 5, 5),
    ],
)
def test_as_many_run_as_the_nodes_that_are_alive_have_room_for(offered: Offered, most: int | None, count: int) -> None:
    assert at_once(Placement("cuda", 1, 1, 1, most=most), offered) == count


@pytest.mark.parametrize(("workers", "most", "count"), [(1, None, 72), (1, 64, 64), (4, None, 16)])
def test_on_many_nodes_some_wait_for_the_next_worker(workers: int, most: int | None, count: int) -> None:
    offered = Offered(64, rooms=tuple(Room(1, 0, f"10.0.0.{number}") for number in range(64)), elsewhere=True)
    assert at_once(Placement("cpu", 1, 0, 64, most=most, workers=workers), offered) == count

"""What a trial costs beside its training: our search with two trials at a time, plain Ray Tune, plain Optuna.

    python benchmarks/overhead.py --trials 100 1000

A trial here draws two numbers and returns their sum. Overhead is (wall - start-up) / trials, where start-up is the time
until the first trial has ended. The three take turns in one process; the table shows medians over the rounds.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
import torch
from ray import tune

from orchestrator.artifacts.provenance import code_version, provenance
from orchestrator.artifacts.records import TrialRecord, append_record
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import Placement
from orchestrator.families import FAMILIES, Row
from orchestrator.machine.engine import Engine
from orchestrator.machine.offered import Offered
from orchestrator.scoring.judge import Judge
from orchestrator.search.run_study import run_study
from orchestrator.search.study import Study
from trainables.interface import Epoch, Family, FamilyConfig, Gallery, Prediction, Problem, Samples
from trainables.small_files import FolderFiles, NamedFile
from trainables.training.trial import Job

Seconds = tuple[float, float]
"""(start-up, overhead a trial)."""


class TrivialConfig(FamilyConfig):
    """Two numbers."""

    x: float = 0.0
    y: float = 0.0


class Trivial:
    """A model that is trained at once."""

    parameters = 2

    def __init__(self, config: TrivialConfig, problem: Problem, seed: int) -> None:
        self.value = config.x + config.y

    def facts(self) -> dict[str, str]:
        return {}

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        yield Epoch({"train_loss": self.value, "validation_loss": self.value}, self.predict(validation), last=True)

    def predict(self, samples: Samples) -> Prediction:
        return Prediction(np.full((len(samples), 2), 0.5))

    def gallery(self, samples: Samples) -> list[Gallery]:
        return []

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        return None

    def weights(self) -> dict[str, torch.Tensor]:
        return {}

    def load_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        return None


FAMILY = Family("trivial", "classification", TrivialConfig, Trivial)


class TrivialRow(Row):
    """A row of the table whose family stands in this file."""

    @property
    def family(self) -> Family:
        return FAMILY

    @property
    def suggest(self) -> Callable[[Any], dict[str, Any]]:
        return lambda trial: {"x": trial.suggest_float("x", 0, 1), "y": trial.suggest_float("y", 0, 1)}


def search(
    row: Row,
    folder: Path,
    write: Callable[[TrialRecord, str | None, Any], TrialRecord],
    *,
    trials: int,
    at_once: int,
    now: Callable[[], Offered] | None = None,
    **keys: Any,
) -> None:
    """A study of a family of no network as a run does it, with its journal and the states of trials in `folder`.

    `keys`: of the experiment file, beside data and budget.
    """
    FAMILIES[row.name] = row
    samples = Samples(np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, 0, 1]), ("a", "b"), ("1", "2", "3", "4"))
    experiment = Experiment.from_mapping(
        {"data": {"path": str(folder)}, "families": [row.name], "budget": {"trials": trials, "epochs": 1}, **keys}
    )
    job = Job(
        row.family, Problem(("a", "b"), (8, 8, 3), 1), samples, samples, Judge("classification"), "validation_loss",
        "min", None, 1, states=FolderFiles(folder / "states"), code=code_version(),
        stop=NamedFile(FolderFiles(folder), "stop"),
    )  # fmt: skip
    run_study(
        Study(
            experiment=experiment,
            variant=experiment.families[0],
            training_seed=experiment.trial_seed,
            journal=folder / "x.journal",
            earlier=(),
            trials=trials,
            placement=Placement("cpu", 1.0, 0.0, at_once),
            seconds=None,
            scratch=folder / "scratch",
            provenance=partial(provenance, "e", "d", "s", "cpu"),
            on_record=write,
            now=now,
        ),
        job,
    )


def ours(trials: int, folder: Path) -> Seconds:
    """The search as a run does it: journal, records on the disk, validation scores."""
    ended: list[float] = []

    def write(record: TrialRecord, strategy: str | None, scores: Any) -> TrialRecord:
        append_record(folder / "records.jsonl", record)
        ended.append(time.perf_counter())
        return record

    started = time.perf_counter()
    search(TrivialRow("trivial", "classification", cheap=True, summary=""), folder, write, trials=trials, at_once=2)
    assert len(ended) == trials
    return ended[0] - started, (time.perf_counter() - ended[0]) / trials


def plain_tune(trials: int, folder: Path) -> Seconds:
    """Ray Tune with its own OptunaSearch, as its documentation has it; workers are used again."""
    from ray.tune.search.optuna import OptunaSearch

    ended: list[float] = []

    class Clock(tune.Callback):
        def on_trial_complete(self, *arguments: Any, **info: Any) -> None:
            ended.append(time.perf_counter())

    def objective(config: dict[str, float]) -> None:
        tune.report({"loss": config["x"] + config["y"]})

    started = time.perf_counter()
    tune.Tuner(
        tune.with_resources(objective, {"cpu": 1}),
        param_space={"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", search_alg=OptunaSearch(), num_samples=trials, max_concurrent_trials=2,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(name="plain", storage_path=str(folder), verbose=0, callbacks=[Clock()]),
    ).fit()  # fmt: skip
    return ended[0] - started, (time.perf_counter() - ended[0]) / trials


def plain_optuna(trials: int, folder: Path) -> Seconds:
    """Optuna in this process, one trial after the other, in memory."""
    started = time.perf_counter()
    study = optuna.create_study()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1), n_trials=trials)
    return 0.0, (time.perf_counter() - started) / trials


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only-ours", action="store_true", help="leave the other two out (10,000 trials, say)")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ways = {"ours": ours} if given.only_ours else {"ours": ours, "Ray Tune": plain_tune, "Optuna": plain_optuna}
    print(f"{'':10} {'trials':>7} {'start-up s':>11} {'ms a trial':>11} {'files':>6} {'MiB':>7} {'driver MiB':>11}")
    with Engine(cpus=2):
        for trials in given.trials:
            measured: dict[str, list[Seconds]] = {name: [] for name in ways}
            left: dict[str, tuple[int, float, float]] = {}
            for _ in range(given.rounds):
                for name, way in ways.items():
                    with tempfile.TemporaryDirectory() as folder:
                        measured[name].append(way(trials, Path(folder)))
                        files = [path for path in Path(folder).rglob("*") if path.is_file()]
                        size = sum(path.stat().st_size for path in files) / 2**20
                        left[name] = (len(files), size, psutil.Process().memory_info().rss / 2**20)
            for name, pairs in measured.items():
                start, each = (statistics.median(column) for column in zip(*pairs, strict=True))
                files, size, memory = left[name]
                print(
                    f"{name:10} {trials:7} {start:11.1f} {1000 * each:11.1f} {files:6} {size:7.1f} {memory:11.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

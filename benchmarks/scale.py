"""A search of many trials over many nodes: how much of the nodes' time is used, and what it costs the driver.

    python benchmarks/scale.py --trials 10000 --nodes 64 --mean 10

The nodes are simulated on this machine (ray.cluster_utils), one CPU each. A trial draws four numbers and sleeps for a
time that follows from them, between a tenth and 1.9 times the mean. The search is a run's own: TPE, journal, records.
Used: (trials × mean slept) / nodes over the time from the first trial's start to the last one's end. The driver's share
is its CPU time over that time, in cores. `--mean 0` tells at how many trials a second the driver is the limit.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import overhead  # the benchmark beside this one: a model that is trained at once
import psutil
from ray import cloudpickle
from ray.cluster_utils import Cluster

from orchestrator.artifacts.records import TrialRecord, append_record
from orchestrator.machine.alive import Alive
from orchestrator.machine.engine import QUIET, Engine, bind_to_loopback
from trainables.interface import Epoch, Family, Problem, Samples

STORE = 80 * 2**20
"""Bytes of each node's object store: about the least that Ray takes."""


class SleepingConfig(overhead.TrivialConfig):
    """What a search draws, and how long the training takes on average."""

    units: int = 1
    pace: float = 0.5
    mean: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it takes: from 0.1 to 1.9 times the mean."""
        drawn = np.random.default_rng([int(1e6 * self.x), int(1e6 * self.y), self.units, int(1e6 * self.pace)])
        return self.mean * float(drawn.uniform(0.1, 1.9))


class Sleeping(overhead.Trivial):
    """A model whose training is a sleep."""

    def __init__(self, config: SleepingConfig, problem: Problem, seed: int) -> None:
        super().__init__(config, problem, seed)
        self.seconds = config.seconds

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        time.sleep(self.seconds)
        yield from super().fit(train, validation)


FAMILY = Family("sleeping", "classification", SleepingConfig, Sleeping)


class SleepingRow(overhead.TrivialRow):
    """A row of the table whose family stands in this file."""

    @property
    def family(self) -> Family:
        return FAMILY

    @property
    def suggest(self) -> Callable[[Any], dict[str, Any]]:
        return suggest


def suggest(trial: Any) -> dict[str, Any]:
    """Two scales, a whole number and a share: four draws, as the families' own searches have."""
    return {
        "x": trial.suggest_float("x", 1e-5, 1e-1, log=True),
        "y": trial.suggest_float("y", 0, 1),
        "units": trial.suggest_int("units", 2, 256, log=True),
        "pace": trial.suggest_float("pace", 0, 1),
    }


class Watched:
    """Writes records as a run does, and says how it goes."""

    def __init__(self, folder: Path, every: int) -> None:
        self._folder, self._every = folder, every
        self.ended: list[float] = []
        self.slept = 0.0
        self._process = psutil.Process()
        self.cpu = self._cpu()

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system

    def write(self, record: TrialRecord, strategy: str | None, scores: Any) -> TrialRecord:
        """One ended trial."""
        assert record.status == "completed", record.reason
        append_record(self._folder / "records.jsonl", record)
        now = time.monotonic()
        if not self.ended:
            self.began, self.cpu = now - record.seconds, self._cpu()
        self.ended.append(now)
        self.slept += SleepingConfig(**record.config).seconds
        if len(self.ended) % self._every == 0:
            took = now - (self.ended[-self._every - 1] if len(self.ended) > self._every else self.began)
            memory = self._process.memory_info().rss / 2**20
            print(f"{len(self.ended):8} {self._every / took:8.1f} a second {memory:8.0f} MiB", flush=True)
        return record

    def told(self, nodes: int) -> str:
        """What came out."""
        wall = self.ended[-1] - self.began
        cores = (self._cpu() - self.cpu) / (self.ended[-1] - self.ended[0])
        memory = self._process.memory_info().rss / 2**20
        return (
            f"{len(self.ended)} trials, {nodes} nodes: {wall:.1f} s, slept {self.slept:.0f} s; used "
            f"{100 * self.slept / nodes / wall:.1f} %; {len(self.ended) / wall:.1f} trials a second; driver "
            f"{cores:.2f} cores, {memory:.0f} MiB"
        )


def main() -> None:
    """Print how it goes, and what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--mean", type=float, default=10.0, help="seconds of a trial")
    parser.add_argument("--sampler", default="tpe")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    cloudpickle.register_pickle_by_value(overhead)  # workers have this file's classes, not that one's
    row = SleepingRow("sleeping", "classification", cheap=True, summary="")
    os.environ |= QUIET  # for the nodes, too
    bind_to_loopback()
    quiet = {"include_dashboard": False, "node_ip_address": "127.0.0.1", "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **quiet})
    try:
        for _ in range(given.nodes):
            cluster.add_node(wait=False, num_cpus=1, **quiet)
        cluster.wait_for_nodes(timeout=600)
        os.environ["RAY_ADDRESS"] = cluster.address
        with Engine(), tempfile.TemporaryDirectory() as folder:
            watched = Watched(Path(folder), max(1, given.trials // 10))
            overhead.search(
                row, Path(folder), watched.write, trials=given.trials, at_once=given.nodes, now=Alive().now,
                families=[{"family": "sleeping", "fixed": {"mean": given.mean}}], sampler=given.sampler,
            )  # fmt: skip
            print(watched.told(given.nodes))
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()

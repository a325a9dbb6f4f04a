"""`python -m orchestrator.planning.probing_process`: the process that probes, and says line by line what it knows.

It reads one line of JSON from standard input and writes lines of JSON to standard output, so that what was known when
its time was up is not lost.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.experiment.checks import CHANNELS
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import place
from orchestrator.experiment.preflight import Settled, settle
from orchestrator.experiment.sections import Variant
from orchestrator.families import family_row
from orchestrator.machine.offered import Offered
from orchestrator.machine.resources import local_resources
from orchestrator.planning.configurations import Configuration, probed_configurations
from orchestrator.planning.sample_store import SampleFiles, SamplePictures
from orchestrator.planning.short_trainings import ShortTrainings
from trainables.interface import Problem

DRAWING_SHARE = 5
"""One part in so many of the time may go into drawing the pictures."""


@dataclass
class Prober:
    """Probes one experiment until a deadline."""

    settled: Settled
    offered: Offered
    folder: Path
    """A temporary one."""
    deadline: float
    """Of `time.monotonic`."""
    lines: Any
    """Where they are written."""

    def run(self, variants: list[str]) -> None:
        """Draw pictures at every size, then probe these variants: first each with its defaults, then the others."""
        experiment = self.settled.experiment
        sizes = dict.fromkeys(experiment.size_of(one) for one in experiment.families)
        files = SampleFiles(self.settled, self._left / DRAWING_SHARE / len(sizes))
        pictures: dict[tuple[int, int], SamplePictures] = {}
        for size in sizes:
            pictures[size], drawing = files.draw(size, self.folder / f"store-{size[0]}x{size[1]}")
            self._tell("drawing", **asdict(drawing))
        waiting: list[tuple[str, ShortTrainings, list[Configuration]]] = []
        for position, name in enumerate(variants):
            size = experiment.size_of(experiment.variant(name))
            trainings = self._trainings(name, pictures[size], files)
            defaults, *others = self._configurations(name, size, pictures[size].depth)
            # Half of the time is for the defaults, of which most is learnt.
            share = self._left / (len(variants) - position + len(variants)) * (1 if others else 2)
            if self._probe(name, defaults, trainings, share, first=True) and others:
                waiting.append((name, trainings, others))
        while waiting and self._left > 0:
            for name, trainings, others in tuple(waiting):
                open_ = sum(len(rest) for _, _, rest in waiting)
                self._probe(name, others.pop(0), trainings, self._left / max(1, open_), first=False)
            waiting = [one for one in waiting if one[2]]
        self._tell("end")

    def _probe(self, name: str, one: Configuration, trainings: ShortTrainings, seconds: float, *, first: bool) -> bool:
        """Probe one configuration; True where that gave figures. A failure is a line, too."""
        try:
            found = trainings.observe(one.config, seconds, first=first)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            self._tell("failed", variant=name, label=one.label, reason=reason)
            return False
        self._tell("training", variant=name, label=one.label, config=one.config, **asdict(found))
        return True

    def _trainings(self, name: str, pictures: SamplePictures, files: SampleFiles) -> ShortTrainings:
        experiment = self.settled.experiment
        variant = experiment.variant(name)
        problem = self._problem(variant, experiment.epochs_of(variant), pictures.depth)
        cache = self.folder / "shared" / name
        threads = max(1, int(place(experiment, variant.family, self.offered).cpus))
        return ShortTrainings(family_row(variant.family).family, problem, pictures, files.sizes, cache, threads)

    def _problem(self, variant: Variant, epochs: int, depth: bool) -> Problem:
        experiment = self.settled.experiment
        size, device = experiment.size_of(variant), place(experiment, variant.family, self.offered).device
        return Problem(self.settled.classes, (*size, CHANNELS), epochs, device, depth=depth)

    def _configurations(self, name: str, size: tuple[int, int], depth: bool) -> list[Configuration]:
        variant = self.settled.experiment.variant(name)
        row = family_row(variant.family)
        problem = self._problem(variant, 1, depth)

        def weigh(config: Mapping[str, Any]) -> float:
            return float(row.family.build(row.config(**config), problem, 0).parameters)

        return probed_configurations(variant, row.suggest, weigh)

    @property
    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _tell(self, kind: str, **values: Any) -> None:
        print(json.dumps({"kind": kind, **values}, default=_plain), file=self.lines, flush=True)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    return str(value)


def main() -> None:
    """Probe what standard input asks for."""
    # What libraries print belongs to nobody's lines.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = json.loads(sys.stdin.readline())
    begun = time.monotonic() - max(0.0, time.time() - asked["begun"])
    offered = local_resources()
    settled = settle(Experiment.from_mapping(asked["experiment"]), resources=offered)
    prober = Prober(settled, offered, Path(asked["folder"]), begun + asked["seconds"], lines)
    prober._tell("ready", seconds=time.monotonic() - begun)
    prober.run(asked["variants"])


if __name__ == "__main__":
    main()

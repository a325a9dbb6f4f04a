"""Probes in a process of their own, which is ended when its time is up."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import place
from orchestrator.machine.resources import local_resources
from orchestrator.planning.extrapolation import Probed, Training, fitted
from trainables.printing import printable_lines

SPARE = 0.85
"""The share of the time after which the process is to end by itself: it may be in a long training then."""


@dataclass(frozen=True)
class ProbedConfiguration:
    """What is known of one configuration of a variant."""

    label: str
    training: Training
    memory: int
    weights: int


@dataclass(frozen=True)
class Drawn:
    """What pictures of one size cost, as `Drawing` has it: this process needs no torch."""

    pictures: int
    starting: float
    drawing: float
    stored: float


@dataclass
class Probes:
    """All that was found within the time."""

    seconds: float = 0.0
    """That it took."""
    start: float | None = None
    """Seconds until the process could work: what a worker takes too."""
    hashing: float = 0.0
    """Seconds a file, in one process."""
    drawings: dict[tuple[int, int], Drawn] = field(default_factory=dict)
    """By size."""
    trainings: dict[str, list[ProbedConfiguration]] = field(default_factory=dict)
    """By variant."""
    failures: list[str] = field(default_factory=list)
    """What could not be probed, a sentence each."""

    def take(self, line: dict[str, Any]) -> None:
        """One line that the process has told."""
        match line["kind"]:
            case "ready":
                self.start = line["seconds"]
            case "drawing":
                self.hashing = max(self.hashing, line["hashing"])
                height, width = line["size"]
                keys = ("pictures", "starting", "drawing", "stored")
                self.drawings[height, width] = Drawn(**{key: line[key] for key in keys})
            case "training":
                probes = [Probed(**{**one, "epochs": tuple(one["epochs"])}) for one in line["probes"]]
                known = self.trainings.setdefault(line["variant"], [])
                training = fitted(probes)
                if training.at_once and known and len(probes) == 1:
                    training = training.with_power(known[0].training.power)
                known.append(ProbedConfiguration(line["label"], training, line["memory"], line["weights"]))
            case "failed":
                self.failures.append(f"{line['variant']}, {line['label']}: {line['reason']}.")


def probe(experiment: Experiment, variants: Sequence[str], seconds: float) -> Probes:
    """Probe these variants of a settled experiment for at most so many seconds; what is known by then counts.

    Writes in a temporary folder alone, which is removed.
    """
    begun = time.monotonic()
    found = Probes()
    with tempfile.TemporaryDirectory(prefix="orchestrate-plan-") as folder:
        asked = {
            "experiment": experiment.model_dump(mode="json"),
            "variants": list(variants),
            "folder": folder,
            "begun": time.time(),
            "seconds": SPARE * seconds,
        }
        families = {experiment.variant(name).family for name in variants}
        cpus = max((place(experiment, family, local_resources()).cpus for family in families), default=1)
        threads = max(1, int(cpus))  # what Ray gives a worker's libraries, too
        ended = _told(json.dumps(asked), Path(folder) / "errors", begun + seconds, found, threads)
    found.seconds = time.monotonic() - begun
    if ended:
        found.failures.append(ended)
    return found


def _told(asked: str, errors: Path, deadline: float, found: Probes, threads: int) -> str:
    """Take in what the process tells until it ends or the time is up; why it ended before its end, or empty."""
    path = os.pathsep.join(place for place in sys.path if place)
    with errors.open("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.planning.probing_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads)},
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(asked + "\n")
                process.stdin.close()
            for line in _lines(process.stdout, deadline):
                if line["kind"] == "end":
                    return ""
                found.take(line)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if time.monotonic() >= deadline:
            return ""  # what lacks is told of each variant
        log.seek(0)
        last = printable_lines(log.read().strip()).splitlines()[-1:]
        return f"The process that probes ended before its end ({' '.join(last) or process.returncode})."


def _lines(output: IO[str], deadline: float) -> Iterator[dict[str, Any]]:
    """What it tells, until it ends or the time is up."""
    told: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in output:
            told.put(line)
        told.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = told.get(timeout=left)
        except queue.Empty:
            return
        if line is None:
            return
        yield json.loads(line)

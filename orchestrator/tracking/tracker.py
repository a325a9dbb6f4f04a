"""What every tracker does with a run: a run of its own a training, an epoch a step, figures and files at the end."""

import math
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from orchestrator.artifacts.events import Outcome, Training
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from trainables.files import write_whole

Row = Mapping[str, float]


class Tracker(Protocol):
    """Sends to one place. Any of these may raise, and take its time, but none without an end; one thread calls them."""

    def begin(self) -> None:
        """Find or make what stands for the whole run."""

    def open(self, training: Training, began: float) -> int:
        """Find or make what stands for a training, which `began` then; the last epoch that it has."""

    def epoch(self, training: Training, epoch: int, metrics: Row, moment: float) -> None:
        """Send what one epoch of an open training gave, in the order of epochs."""

    def end(self, training: Training, record: TrialRecord) -> None:
        """Send what an open training was and how it ended, all of whose epochs were sent."""

    def files(self, kept: Mapping[str, Path]) -> None:
        """Send files and folders of the whole run, by the name that each shall have there."""

    def close(self, outcome: Outcome) -> None:
        """Say how the whole run ended. What is open stays unfinished."""


def configuration(training: Training, record: TrialRecord) -> dict[str, Any]:
    """What a training was, in keys that all trackers take: the family's keys, and whose training it was."""
    said = {"family": record.family, "variant": record.variant, "stage": record.stage, "seed": record.seed}
    said |= {"trial": record.trial, "split": training.split}
    if record.threshold is not None:
        said["threshold"] = record.threshold.strategy
    return {**{f"config.{key}": plain(value) for key, value in record.config.items()}, **said}


def figures(record: TrialRecord) -> dict[str, float]:
    """What came out of a training: of a trial its best epoch on validation, of a seed its test; and its cost."""
    part = "best" if record.split == "validation" else "test"
    found: dict[str, float | None] = {f"{part}/{name}": value for name, value in record.metrics.items()}
    found |= {"best_epoch": record.epoch, "seconds": record.seconds, "parameters": record.parameters}
    found |= {"peak_memory": record.peak_memory, "energy": record.energy}
    if record.speed is not None:
        speed = record.speed
        found |= {"latency_ms": speed.latency_ms, "memory_mb": speed.memory_mb}
        found |= {"pictures_per_second": speed.pictures_per_second}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def facts(record: TrialRecord) -> dict[str, str]:
    """How it ended and where it came from, as texts."""
    origin = record.provenance
    said = {"status": record.status, "reason": record.reason, "device": origin.device, "code": origin.code}
    return {**said, "data": origin.data, "divided": origin.split, "experiment": origin.experiment}


def plain(value: Any) -> Any:
    """A value that every tracker takes: a number, a truth value or a text."""
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def taken_name(name: str) -> str:
    """A metric's name in letters that every tracker takes."""
    return re.sub(r"[^\w./ -]", "_", name)


def ended_at(record: TrialRecord) -> float:
    """The moment at which a training ended, in seconds since 1970; 0 where its record holds none."""
    try:
        return datetime.fromisoformat(record.provenance.finished).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def name_of_run(folder: RunFolder) -> str:
    """What the run is called in trackers: as its folder, with a mark that no other run has, kept in the folder."""
    path = folder.tracking / "name"
    try:
        name = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        name = ""
    if not re.fullmatch(r"[\w. -]{1,80}-[0-9a-f]{8}", name):
        folder.tracking.mkdir(exist_ok=True)
        called = re.sub(r"[^A-Za-z0-9._-]", "_", folder.whole.name)[:60] or "run"
        name = f"{called}-{secrets.token_hex(4)}"
        write_whole(path, name, wait=False)
    return name


def kept_files(folder: RunFolder, model: Path | None) -> dict[str, Path]:
    """What of a reported run is worth sending: the experiment, the report, and the winner's model.

    Never what lies elsewhere, or what a link leads to: whoever wrote the run's folder may have meant a file of who
    sends it.
    """
    found = {"experiment.yaml": folder.experiment, "report": folder.report}
    if model is not None and ".." not in model.parts and model.is_relative_to(folder.models):
        found[model.relative_to(folder.root).as_posix()] = model
    return {
        name: path
        for name, path in found.items()
        if not any(one.is_symlink() for one in (path, *path.parents[: name.count("/")], *path.rglob("*")))
    }

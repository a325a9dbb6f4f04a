"""Weights & Biases: a group a run of ours, and in it a run a training."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from orchestrator.artifacts.events import Outcome, Training
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.tracking.tracker import Row, configuration, facts, figures, name_of_run
from trainables.files import text_sha256

LIMITS: dict[str, Any] = {
    "init_timeout": 30,
    "x_graphql_retry_max": 3,
    "x_graphql_timeout_seconds": 20,
    "x_file_stream_retry_max": 3,
    "x_file_stream_timeout_seconds": 20,
    "x_file_transfer_retry_max": 3,
}
"""By itself wandb tries a server that is gone for hours, and a process that used it does not end before."""
CALM: dict[str, Any] = {
    **{"silent": True, "console": "off", "disable_git": True, "disable_code": True},
    **{"x_disable_stats": True, "x_disable_meta": True},
}
"""It prints nothing and takes nothing of the process, the machine or the code along: records tell enough."""


class WandbRuns:
    """Several runs at a time in this one process; what the process else logs to wandb is left alone."""

    def __init__(self, folder: RunFolder, destination: str) -> None:
        entity, _, self._project = destination.rpartition("/")
        self._entity = entity or None
        self._folder = folder
        self._group = ""
        self._open: dict[Training, wandb.Run] = {}

    def begin(self) -> None:
        """Only the name is needed."""
        self._group = name_of_run(self._folder)

    def open(self, training: Training, began: float) -> int:
        """A run of an id that is always the same; steps that it has, the server does not take again."""
        self._open[training] = self._start(training.name, training.stage, [training.stage, training.variant])
        return 0

    def _start(self, name: str, kind: str, tags: list[str]) -> wandb.Run:
        settings = wandb.Settings(**LIMITS, **CALM)
        return wandb.init(
            entity=self._entity,
            project=self._project,
            group=self._group,
            job_type=kind,
            name=name,
            id=text_sha256(f"{self._group} {name}")[:16],
            tags=[tag[:64] for tag in tags],
            dir=str(self._folder.tracking),
            reinit="create_new",
            resume=None if wandb.setup().settings.mode == "offline" else "allow",
            settings=settings,
        )

    def epoch(self, training: Training, epoch: int, metrics: Row, moment: float) -> None:
        """One line of its history."""
        kept = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self._open[training].log(kept, step=epoch)

    def end(self, training: Training, record: TrialRecord) -> None:
        """Configuration and summary; failed where it did not end well."""
        run = self._open.pop(training)
        told: Any = run.config  # wandb gives it no types
        told.update({**configuration(training, record), **facts(record)}, allow_val_change=True)
        run.summary.update({**figures(record), "status": record.status})
        run.finish(exit_code=0 if record.status in ("completed", "pruned") else 1)

    def files(self, kept: Mapping[str, Path]) -> None:
        """As artifacts of a run of their own in the group."""
        run = self._start("whole run", "report", ["report"])
        for name, path in kept.items():
            kind = name.split("/", 1)[0].partition(".")[0]
            artifact = wandb.Artifact(f"{self._group}-{kind}", type=kind.rstrip("s"))
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:  # of whole folders it prints a line
                if file.is_file():
                    artifact.add_file(str(file), name=(Path(name) / file.relative_to(path)).as_posix())
            run.log_artifact(artifact)
        run.finish(exit_code=0)

    def close(self, outcome: Outcome) -> None:
        """End what is open as broken off."""
        for run in self._open.values():
            run.finish(exit_code=255)
        self._open.clear()

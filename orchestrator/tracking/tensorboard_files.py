"""TensorBoard: a folder of event files a training, under RUN/tensorboard."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.artifacts.events import Outcome, Training
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.tracking.tracker import Row, configuration, ended_at, facts, figures

if TYPE_CHECKING:
    from torch.utils.tensorboard import FileWriter


class TensorBoardFiles:
    """Writes event files, those of a training that was broken off anew from its start."""

    def __init__(self, folder: RunFolder, destination: str) -> None:
        self._root = folder.tensorboard
        self._open: dict[Training, FileWriter] = {}

    def begin(self) -> None:
        """Make the folder."""
        self._root.mkdir(exist_ok=True)

    def open(self, training: Training, began: float) -> int:
        """A writer in an empty folder."""
        from torch.utils.tensorboard import FileWriter

        folder = self._root / training.name
        if training in self._open:
            self._open.pop(training).close()
        shutil.rmtree(folder, ignore_errors=True)
        self._open[training] = FileWriter(str(folder), flush_secs=10)
        return 0

    def epoch(self, training: Training, epoch: int, metrics: Row, moment: float) -> None:
        """A scalar a metric."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        _add(self._open[training], finite, epoch, moment)

    def end(self, training: Training, record: TrialRecord) -> None:
        """What came out, as scalars at the chosen epoch and for the table of hyperparameters."""
        from torch.utils.tensorboard.summary import hparams

        writer, found, moment = self._open.pop(training), figures(record), ended_at(record)
        try:
            _add(writer, found, record.epoch or 0, moment)
            texts = {key: value for key, value in facts(record).items() if key in ("status", "reason", "device")}
            described: Any = hparams  # torch gives it no types
            for summary in described({**configuration(training, record), **texts}, found):
                writer.add_summary(summary)
        finally:
            writer.close()

    def files(self, kept: Mapping[str, Path]) -> None:
        """Nothing: the run's folder has them."""

    def close(self, outcome: Outcome) -> None:
        """Leave what is open as far as it is."""
        for writer in self._open.values():
            writer.close()
        self._open.clear()


def _add(writer: "FileWriter", values: Row, step: int, moment: float) -> None:
    from torch.utils.tensorboard.summary import scalar

    made: Any = scalar  # torch gives it no types
    for name, value in values.items():
        writer.add_summary(made(name, value), step, walltime=moment)

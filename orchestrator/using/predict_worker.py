"""What a worker does that scores files for a kept model."""

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import torch

from orchestrator.machine.worker_pool import as_batches
from orchestrator.using.result_file import stamp_of
from orchestrator.using.rows import Row
from orchestrator.using.scorer import Scorer
from orchestrator.using.subject import Subject
from trainables.own_code import OwnFiles


class PredictBatch:
    """Scores a batch of files, with one thread: there are as many workers as CPUs."""

    def __init__(
        self,
        subject: Subject,
        device: str,
        trust: Sequence[str],
        threshold: float | None,
        heat_maps: Path | None,
        working_folder: str,
        own: OwnFiles | None = None,
    ) -> None:
        """`working_folder`: which relative paths go out from. `own`: the files of the user's own code, which a worker
        has once it has received them."""
        os.chdir(working_folder)
        torch.set_num_threads(1)
        self._scorer = Scorer(subject, threshold, heat_maps, device=device, trust=trust)

    def __call__(self, batch: pa.Table) -> pa.Table:
        return as_batches(self.score, batch)

    def score(self, paths: Sequence[str]) -> tuple[Sequence[str], list[str], list[Row]]:
        """The paths; of each what it was before it was read, and a row."""
        return paths, [stamp_of(path) for path in paths], self._scorer.rows(paths)

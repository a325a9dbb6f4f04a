"""What one search is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.at_work import AtWork
from orchestrator.artifacts.records import Provenance, TrialRecord
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import Placement
from orchestrator.experiment.sections import Variant
from orchestrator.machine.offered import Offered


@dataclass(frozen=True)
class Study:
    """What one search needs beside its job."""

    experiment: Experiment
    variant: Variant
    training_seed: int
    """That every trial trains with."""
    journal: Path
    """The Optuna journal; rebuilt from `earlier` where it is lost."""
    earlier: tuple[TrialRecord, ...]
    """The records of this study so far."""
    trials: int
    """Still to run."""
    placement: Placement
    """Of each trial, and how many run beside each other."""
    seconds: float | None
    """Wall time left; None: no limit."""
    scratch: Path
    """Ray's own state: a cache, removed afterwards."""
    provenance: Callable[[], Provenance]
    on_record: Callable[[TrialRecord, str | None, NDArray[np.float64] | None], TrialRecord]
    """Called in the driver for every trial that ended, with the threshold strategy that it was judged by and the
    validation scores of its best epoch (flat). Writes them and the record, and gives the record as written."""
    on_epoch: Callable[[int, dict[str, float]], object] = lambda number, row: None
    """Called with the number of a trial and the row of its history that an epoch added; after a retry again."""
    say: Callable[[str], object] = str
    """Called with what a person should know."""
    at_work: Callable[[Sequence[AtWork]], object] = list
    """Called every other second with the trials that run."""
    renew: Callable[[], bool] = bool
    """Starts Ray anew after it gave the search up; False where that can't be done."""
    offered: Offered | None = None
    """By which trials are packed closer as soon as it is measured what they take; None: they are not."""
    now: Callable[[], Offered] | None = None
    """What a cluster has at this moment, by which so many trials run beside each other; None: what there is stays."""
    waits: Callable[[str], object] = str
    """Called with what is waited for where no trial can run; with nothing once one can."""
    stage: Literal["search", "tuning"] = "search"
    """Of its records; tuning: of one variant of an ablation."""

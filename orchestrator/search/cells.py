"""What is evaluated: frozen configurations with their seeds, each found again by a hash of all that decides it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from orchestrator.experiment import Experiment
from orchestrator.families import family_row
from orchestrator.records import TrialRecord, best_record

Standing = dict[tuple[str, int], tuple[str, TrialRecord]]
"""(variant, seed) -> the key of the cell whose model lies there, and its record."""


@dataclass(frozen=True)
class Setting:
    """All that a cell is trained with, but the data and the seed."""

    family: str
    config: dict[str, Any]
    """The keys that are set, as the family understands them; all others are at its defaults."""
    size: tuple[int, int]
    epochs: int
    strategy: str | None
    trial: int = 0
    """The number of the trial that found the configuration; 0 for a given one."""
    trials: int = 0
    """Of the search that chose it; 0: it was given."""


@dataclass(frozen=True)
class Cell:
    """One frozen configuration with one seed."""

    family: str
    variant: str
    """The folder of its models."""
    trial: int
    """The number of the search trial that found the configuration."""
    config: dict[str, Any]
    seed: int
    size: tuple[int, int]
    epochs: int
    patience: int | None
    data: str
    """The fingerprint of the data."""
    split: str
    strategy: str | None = None
    """Detection: the threshold strategy; fitted anew to this cell's validation scores."""
    stage: Literal["evaluation", "ablation"] = "evaluation"

    @cached_property
    def key(self) -> str:
        """Of all that decides the result but the seed. Two ways to write one configuration have one key."""
        return self.key_with(self.strategy)

    @cached_property
    def training(self) -> str:
        """The same without the threshold strategy: cells that share it, and the seed, can share a model."""
        config = full_config(self.family, self.config)
        return digest([self.family, config, self.size, self.epochs, self.patience, self.data, self.split])

    def key_with(self, strategy: str | None) -> str:
        """The key that it would have with another threshold strategy."""
        return digest([self.training, strategy])


def digest(value: Any) -> str:
    """16 hex digits of the SHA-256 of plain JSON values, the same for any order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def full_config(family: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The whole configuration as plain JSON values, with the family's defaults."""
    return family_row(family).family.config(**config).model_dump(mode="json")


def set_config(family: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that are given, as the family understands them here: a relative path means another file elsewhere."""
    return family_row(family).family.config(**config).model_dump(mode="json", include=set(config))


def winners(
    experiment: Experiment, records: list[TrialRecord], metric: str, mode: Literal["max", "min"]
) -> dict[str, TrialRecord]:
    """The best search trial of each variant on validation, among those that trained to their end.

    Where none did (a time limit, say), the best of those that reported; a variant with none at all has no winner.
    """
    found = {
        variant.name: best_record(
            (one for one in records if one.stage == "search" and one.variant == variant.name), metric, mode
        )
        for variant in experiment.families
    }
    return {name: record for name, record in found.items() if record is not None}


def strategy_of(record: TrialRecord) -> str | None:
    """The threshold strategy that a record was judged by."""
    return None if record.threshold is None else record.threshold.strategy


def standing(experiment: Experiment, records: Iterable[TrialRecord]) -> Standing:
    """The completed cells whose models still lie in their folders: of each folder the last."""
    return {
        (record.variant, record.seed): (key_of(experiment, record), record)
        for record in records
        if record.stage in ("evaluation", "ablation") and record.status == "completed"
    }


def key_of(experiment: Experiment, record: TrialRecord) -> str:
    """The key of the cell that a record is of; of records from before they held it, as it follows from the rest."""
    variant = next((one for one in experiment.families if one.name == record.variant), None)
    if record.cell or variant is None:
        return record.cell
    try:
        return Cell(
            record.family,
            record.variant,
            record.trial,
            record.config,
            record.seed,
            experiment.size_of(variant),
            experiment.epochs_of(variant),
            experiment.budget.patience,
            record.provenance.data,
            record.provenance.split,
            strategy_of(record),
        ).key
    except ValueError:  # a configuration that this version does not take
        return ""

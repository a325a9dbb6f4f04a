"""What is evaluated: frozen configurations with their seeds, each found again by a hash of all that decides it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from orchestrator.artifacts.records import TrialRecord, best_record
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.own_parts import refuse_other_code
from orchestrator.experiment.sections import Variant
from orchestrator.experiment.settings import Setting, digest, full_config
from orchestrator.families import code_of, family_row
from trainables.interface import Mode

Standing = dict[tuple[str, int], tuple[str, TrialRecord]]
"""(variant, seed) -> the key of the cell whose model lies there, and its record."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One frozen configuration with one seed, on one split of one data set."""

    setting: Setting
    variant: str
    """The folder of its models."""
    seed: int
    patience: int | None
    data: str
    """The fingerprint of the data."""
    split: str
    code: tuple[str, ...] = ()
    """The user's own that draws and judges."""
    workers: int = 1
    """That share its training."""
    stage: Literal["evaluation", "ablation"] = "evaluation"

    @cached_property
    def key(self) -> str:
        """Of all that decides the result but the seed. Two ways to write one configuration have one key."""
        return self.key_with(self.setting.strategy)

    @cached_property
    def training(self) -> str:
        """The same without the threshold strategy: cells that share it, and the seed, can share a model."""
        return self._decided_by(full_config(self.setting.family, self.setting.config))

    @cached_property
    def weights(self) -> str:
        """The same without what changes no weights, either: cells that share it can share these."""
        keys = family_row(self.setting.family).family.scoring_keys
        config = full_config(self.setting.family, self.setting.config)
        return self._decided_by({key: value for key, value in config.items() if key not in keys})

    def _decided_by(self, config: dict[str, Any]) -> str:
        one = self.setting
        family = code_of(one.family) or one.family
        decides = [family, config, one.size, one.epochs, self.patience, self.data, self.split]
        # Without what came later it is what it was.
        return digest([*decides, *([self.code] if self.code else []), *([self.workers] if self.workers > 1 else [])])

    def key_with(self, strategy: str | None) -> str:
        """The key that it would have with another threshold strategy."""
        return digest([self.training, strategy])


def winners(experiment: Experiment, records: list[TrialRecord], metric: str, mode: Mode) -> dict[str, TrialRecord]:
    """The best search trial of each variant on validation, among those that trained to their end and keep to
    `objective.constraints`.

    Where none did (a time limit, say), the best of those that reported; a variant with none at all has no winner.
    """
    limits = experiment.objective.limits
    found = {
        variant.name: best_record(
            (one for one in records if one.stage == "search" and one.variant == variant.name), metric, mode, limits
        )
        for variant in experiment.families
    }
    return {name: record for name, record in found.items() if record is not None}


def setting_of(experiment: Experiment, variant: Variant, record: TrialRecord) -> Setting:
    """What a record of a variant was trained with; InputError where that is code that the experiment does not name."""
    place = f"The record of trial {record.trial}"
    ours = (variant.family, variant.fixed, variant.space)
    refuse_other_code(place, variant.name, ours, (record.family, record.config))
    return Setting(
        family=record.family,
        config=record.config,
        size=experiment.size_of(variant),
        epochs=experiment.epochs_of(variant),
        strategy=record.strategy,
        trial=record.trial,
    )


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
            setting=setting_of(experiment, variant, record),
            variant=record.variant,
            seed=record.seed,
            patience=experiment.budget.patience,
            data=record.provenance.data,
            split=record.provenance.split,
            workers=record.workers,
        ).key
    except ValueError:  # a configuration that this version does not take
        return ""

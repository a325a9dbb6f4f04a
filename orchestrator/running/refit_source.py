"""What is trained once more: a run's winner or one of its variants, by the evaluated cell that says how."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.artifacts.models import KeptModel
from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.data.split.split import Split
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.of_a_run import experiment_of
from orchestrator.experiment.sections import Variant
from orchestrator.experiment.settings import Setting
from orchestrator.families import ENSEMBLE_FAMILY, family_row
from orchestrator.report.numbers.run_data import read_run
from orchestrator.running.claim import open_run
from orchestrator.using.chosen_model import choose_model
from orchestrator.using.subject import read_kept
from orchestrator.using.trusted_code import trusted_names, with_trusted_code
from trainables.errors import InputError
from trainables.own_code import is_own
from trainables.printing import printable


@dataclass(frozen=True)
class Source:
    """An evaluated cell, and the run that it is of."""

    run: RunFolder
    experiment: Experiment
    split: Split
    record: TrialRecord
    kept: KeptModel
    """What stands beside its weights; code of one's own in it is trusted."""
    setting: Setting
    seed: int
    """That the new training has."""
    why: str
    """One sentence for a person: which variant and seed, and whose epochs."""
    figures: dict[str, float]
    """What tables rank by, on test: the mean over the variant's evaluated cells. The last that is known."""
    cells: int
    """How many these are."""

    @property
    def normal(self) -> str | None:
        """Detection: the class that is normal."""
        return self.experiment.data.normal if self.record.threshold is not None else None

    @property
    def epoch(self) -> int:
        """That validation chose, from 1."""
        assert self.record.epoch is not None
        return self.record.epoch

    @property
    def losses(self) -> tuple[float, ...]:
        """The cell's validation losses up to that epoch; empty where its record does not hold them."""
        found = [row.get("validation_loss", math.nan) for row in self.record.history[: self.epoch]]
        return tuple(found) if len(found) == self.epoch and all(map(math.isfinite, found)) else ()

    @property
    def validation(self) -> dict[str, float]:
        """The cell's figures on validation."""
        return next((dict(row) for row in self.record.history if row.get("epoch") == self.record.epoch), {})

    def about(self) -> dict[str, Any]:
        """For the new model's note."""
        return {
            "run": str(self.run.root),
            "variant": self.record.variant,
            "seed": self.record.seed,
            "cell": self.record.cell,
            "weights": self.kept.weights,
            "experiment": self.record.provenance.experiment,
            "data": self.split.data,
            "split": self.split.fingerprint,
        }


def source_of(run: str | Path, variant: str | None, seed: int | None, trust: str | Sequence[str]) -> Source:
    """The cell of a run's winner, or of `variant`, whose configuration, epoch and strategy are taken.

    It is the evaluated cell of `seed`; of a seed that was not evaluated, the one in the middle by its epoch. Runs code
    of one's own only where `trust` names it. InputError where there is no such cell.
    """
    folder = open_run(run)
    chosen = choose_model(folder.root if variant is None else f"{folder.root}:{variant}")
    name, best = chosen.folder.parent.name, int(chosen.folder.name)
    experiment = experiment_of(folder)
    records = {
        one.seed: one
        for one in read_records(folder.records)
        if one.variant == name and one.stage in ("evaluation", "ablation") and one.status == "completed"
    }
    record = records[best] if seed is None else records.get(seed) or _middle(list(records.values()))
    row = _variant(folder, experiment, name, record)
    if record.epoch is None:
        raise InputError(f"The record of {printable(name)}, seed {record.seed}, names no epoch: evaluate it again.")
    place = folder.model(name, record.seed)
    kept = with_trusted_code(read_kept(place), trust, place)
    if sought := {one for one in (experiment.objective.metric,) if one is not None and is_own(one)}:
        trusted_names(sought, trust, folder.root)
    data = read_run(folder)
    values = [one.metrics[data.metric] for one in records.values() if data.metric in one.metrics]
    now = record.seed if seed is None else seed
    whose = "" if record.seed == now else f"; seed {now} was not evaluated: epochs as of seed {record.seed}, the middle"
    return Source(
        run=folder,
        experiment=experiment,
        split=Split.load(folder.split),
        record=record,
        kept=kept,
        setting=Setting(
            family=kept.family,
            config=with_whole_batches(kept.config, kept.family, record.workers),
            size=experiment.size_of(row),
            epochs=experiment.epochs_of(row),
            strategy=record.strategy,
            trial=record.trial,
        ),
        seed=now,
        why=f"{printable(name)}, seed {now}, of {folder.root}{whose}.",
        figures={data.metric: math.fsum(values) / len(values)} if values else {},
        cells=len(values),
    )


def with_whole_batches(config: dict[str, Any], family: str, workers: int) -> dict[str, Any]:
    """A configuration with which one worker takes the steps that several took, each with its own share of a batch."""
    if workers == 1:
        return config
    full = family_row(family).family.config(**config).model_dump()
    return config | {key: workers * size for key, size in full.items() if key.endswith("batch_size")}


def _middle(records: list[TrialRecord]) -> TrialRecord:
    """The one whose epoch is the median; of two, the lower."""
    return sorted(records, key=lambda one: (one.epoch or 0, one.seed))[(len(records) - 1) // 2]


def _variant(folder: RunFolder, experiment: Experiment, name: str, record: TrialRecord) -> Variant:
    """The experiment's entry. InputError for an ensemble, and for what only an ablation has trained."""
    names = ", ".join(one.name for one in experiment.families)
    if record.family == ENSEMBLE_FAMILY:
        raise InputError(
            f"{printable(name)} is an ensemble: it has no training of its own. Refit its members, one by one: "
            f"--variant, one of {names}."
        )
    found = next((one for one in experiment.families if one.name == name), None)
    if found is None:
        raise InputError(
            f"{printable(name)} is a row of an ablation in {folder.root}, and no variant of its experiment. Give it a "
            f"place among the families of an experiment, sweep that, and refit it there. Variants here: {names}."
        )
    return found


def with_device(source: Source, device: str) -> Source:
    """The same where it trains on `device`: how networks compute is kept only where that is as before."""
    before = source.record.device or "cpu"
    if device.split(":")[0] == before:
        return source
    return replace(source, kept=source.kept.model_copy(update={"precision": {}}))

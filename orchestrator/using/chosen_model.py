"""Which kept model a command means: a run's winner, a variant of it, or a model's own folder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts.models import ENSEMBLE, NOTE
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.run_data import RunData, read_run
from orchestrator.report.numbers.speeds import beyond, pace_of
from trainables.errors import InputError
from trainables.files import is_file, is_folder
from trainables.printing import printable


@dataclass(frozen=True)
class Chosen:
    """A kept model, and how it was found."""

    folder: Path
    why: str
    """One sentence for a person."""
    members: tuple[Path, ...]
    """The models of the same variant, one a seed, this one among them."""


def choose_model(model: str | Path, seed: int | None = None) -> Chosen:
    """The kept model that a text means. InputError where there is none.

    `model`: a run's folder (its winner: the variant that its report ranks first), `RUN:VARIANT`, or the folder of a
    kept model. Of a variant's seeds that is taken which was best on validation, of equals the first: the test part
    chooses no model. `seed`: this one instead.
    """
    path = Path(model).expanduser()
    if is_file(path / NOTE) or is_file(path / ENSEMBLE):
        return _kept(path, seed)
    if str(model) and is_folder(path):
        return _of_run(path, None, seed)
    run, colon, variant = str(model).rpartition(":")
    if colon and is_folder(Path(run).expanduser()):
        return _of_run(Path(run).expanduser(), variant, seed)
    raise InputError(
        f"{printable(str(model))!r} is no model. Give a run's folder (its winner is taken), RUN:VARIANT, or the folder "
        "of a kept model, RUN/models/VARIANT/SEED."
    )


def _kept(folder: Path, seed: int | None) -> Chosen:
    if seed is not None:
        raise InputError(
            f"{folder} is one model, of one seed; --seed {seed} can't choose. Give its run, or RUN:VARIANT."
        )
    seeds = [one.parent for one in folder.absolute().parent.glob(f"*/{NOTE}") if one.parent.name.isdigit()]
    beside = sorted(seeds, key=lambda one: int(one.name))
    return Chosen(folder.absolute(), f"The model in {folder}.", tuple(beside) or (folder.absolute(),))


def _of_run(root: Path, variant: str | None, seed: int | None) -> Chosen:
    folder = RunFolder(root.absolute())
    if not folder.experiment.is_file() and not folder.records.is_file():
        raise InputError(
            f"{root} holds no run and no kept model. Give a folder that a sweep has filled, or RUN/models/VARIANT/SEED."
        )
    data = read_run(folder)
    cells = _evaluated(data)
    if not cells:
        raise InputError(
            f"{root} has no evaluated model yet. Evaluate it: orchestrate evaluate {root}, then ask again."
        )
    name, why = (variant, "") if variant is not None else _winner(data, cells)
    if name not in cells:
        raise InputError(
            f"{root} has no evaluated variant {printable(name)!r}. It has: {', '.join(map(printable, sorted(cells)))}."
        )
    records = cells[name]
    record = _best_on_validation(data, records) if seed is None else _of_seed(root, name, records, seed)
    members = tuple(folder.model(one.variant, one.seed) for one in records)
    chosen = f"seed {record.seed}" + ("" if seed is not None or len(records) == 1 else ", the best on validation")
    return Chosen(folder.model(record.variant, record.seed), f"{why}{printable(name)}, {chosen}, of {root}.", members)


def _evaluated(data: RunData) -> dict[str, list[TrialRecord]]:
    """Variant -> its completed cells, by seed; those of the ablation where no search was evaluated."""
    found = {name: records for name, records in data.completed.items() if records}
    if found:
        return found
    ablated = {
        name: [one for one in records if one.status == "completed" and one.metrics]
        for name, records in data.ablated.items()
    }
    return {name: records for name, records in ablated.items() if records}


def _winner(data: RunData, cells: dict[str, list[TrialRecord]]) -> tuple[str, str]:
    """The variant with the best mean on test, over all of the run's splits, of those within the experiment's limits;
    and a sentence's beginning that says so."""
    sign = 1 if data.mode == "max" else -1
    within = [name for name, records in cells.items() if not beyond(pace_of(records), data.limits)]
    if not within:
        raise InputError(
            f"No variant of {data.run.root} keeps to its limits ({data.limits.told}), so there is no winner. Name the "
            f"one you mean: {data.run.root}:VARIANT, of {', '.join(map(printable, cells))}."
        )
    means: dict[str, float] = {}
    for name in within:
        every = [record for one in data.evaluated_splits for record in _evaluated(one).get(name, ())]
        values = [record.metrics[data.metric] for record in every if data.metric in record.metrics]
        if values:
            means[name] = sign * math.fsum(values) / len(values)
    if not means:
        return within[0], ""
    name = max(means, key=lambda one: means[one])
    return name, f"The winner by {data.metric}: " if len(cells) > 1 else ""


def _best_on_validation(data: RunData, records: Sequence[TrialRecord]) -> TrialRecord:
    sign = 1 if data.search_mode == "max" else -1

    def value(record: TrialRecord) -> float:
        row = next((one for one in record.history if one.get("epoch") == record.epoch), {})
        return sign * row.get(data.search_metric, -sign * math.inf)

    return max(records, key=lambda one: (value(one), -one.seed))


def _of_seed(root: Path, name: str, records: Sequence[TrialRecord], seed: int) -> TrialRecord:
    for one in records:
        if one.seed == seed:
            return one
    there = ", ".join(str(one.seed) for one in records)
    raise InputError(f"{root} has no {printable(name)} of seed {seed}. Its seeds: {there}.")

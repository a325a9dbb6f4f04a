"""What one trial and one cell of a variant cost, by probes or by earlier records."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.artifacts.cost_plan import NOTHING, Range, Source
from orchestrator.artifacts.durations import Durations
from orchestrator.artifacts.records import TrialRecord
from orchestrator.planning.epochs import epochs_alone, epochs_of_trials
from orchestrator.planning.extrapolation import Training, percentile
from orchestrator.planning.probing import ProbedConfiguration
from orchestrator.planning.sizes import Sizes

LOW, HIGH = 0.1, 0.9
TRIAL, EPOCH = 0.05, 0.005
"""Seconds that Tune takes a trial, and a report (measured on an idle machine)."""
CELL = 0.5
"""Seconds that a cell takes beside training and scoring: its model and scores are written, its pictures picked."""
MORE, MORE_PICTURES = 1.3, 1.5
"""How many times the memory of a probe the real training may need; of families that take all pictures at once."""
UNSURE_POWER = 0.5
"""How far the power may be off by which a fit at once is extrapolated."""


@dataclass(frozen=True)
class Asked:
    """What an experiment asks of one variant."""

    trials: int
    epochs: int
    patience: int | None
    scheduler: str
    detection: bool
    sizes: Sizes


@dataclass(frozen=True)
class VariantCost:
    """Of one variant, in seconds and bytes."""

    trial: Range
    cell: Range
    source: Source
    note: str
    once: float = 0.0
    """That the first trial, and the first cell of a seed, takes beside."""
    memory: Range | None = None
    kept: Range = NOTHING
    """Bytes on the disk of one evaluated model."""


def by_probes(found: Sequence[ProbedConfiguration], asked: Asked) -> VariantCost:
    """By short trainings of some configurations.

    Likely is the mean over those that were drawn, as a search draws them; of the defaults too where draws are few. A
    cell's configuration is a winner that nobody knows yet, so its range is that of all.
    """
    sizes = asked.sizes
    trials = epochs_of_trials(asked.epochs, asked.patience, asked.scheduler, asked.trials)
    cells = epochs_alone(asked.epochs, asked.patience)
    drawn = [one for one in found if one.label.startswith("draw")]
    typical = drawn if len(drawn) > 1 else [one for one in found if one.label != "dearest"] or list(found)

    def seconds(epochs: Range) -> Range:
        return Range.of(
            percentile([_seconds(one.training, sizes, epochs.low, -UNSURE_POWER) for one in found], LOW),
            fmean(_seconds(one.training, sizes, epochs.likely, 0.0) for one in typical),
            percentile([_seconds(one.training, sizes, epochs.high, UNSURE_POWER) for one in found], HIGH),
        )

    trial, alone = seconds(trials), seconds(cells)
    scored = sizes.test + (sizes.validation if asked.detection else 0)
    scoring = [one.training.scoring * scored for one in found]
    more = Range.of(percentile(scoring, LOW), fmean(scoring), percentile(scoring, HIGH))
    overhead = [TRIAL + EPOCH * epochs for epochs in (trials.low, trials.likely, trials.high)]
    resident = [float(one.memory) for one in found]
    grown = max(resident) * (MORE_PICTURES if any(one.training.at_once for one in found) else MORE)
    weights = [float(one.weights) for one in found]
    return VariantCost(
        trial=trial.plus(Range.of(*overhead)),
        cell=alone.plus(more).plus(Range.of(CELL / 2, CELL, 3 * CELL)),
        source="probes",
        note=", ".join(one.label for one in found),
        once=fmean(one.training.once(sizes.train, sizes.validation) for one in found[:1]),
        memory=Range.of(min(resident), fmean(resident), grown),
        kept=Range.of(min(weights), fmean(one.weights for one in typical), max(weights)),
    )


def _seconds(training: Training, sizes: Sizes, epochs: float, off: float) -> float:
    """Of a training of so many epochs on the real numbers of pictures; a fit is extrapolated by a power `off`."""
    beyond = training.probed is not None and sizes.train > training.probed[0]
    power = max(0.0, training.power + off) if beyond else training.power
    return training.seconds(sizes.train, sizes.validation, epochs, power=power)


@dataclass(frozen=True)
class Before:
    """What an earlier run had, by which its records become those of this one."""

    epochs: int
    """The most that it allowed."""
    train: int
    """Pictures that it trained on."""


def by_records(records: Sequence[TrialRecord], before: Before, asked: Asked, where: str) -> VariantCost | None:
    """By what earlier trainings of the variant took, in proportion to training pictures and epochs; None where none
    was completed."""
    ratio = asked.sizes.train / max(1, before.train)
    ended = [
        Durations.of(scaled(one, before.epochs, asked.epochs, ratio, longest) for one in records)
        for longest in (False, True)
    ]
    name = records[0].variant if records else ""
    if not records or not ended[0].known(name):
        return None

    def seconds(cell: bool) -> Range:
        unit = (name, cell)
        few, many = (durations.expected(unit) or 0.0 for durations in ended)
        own = [durations.ended.get(unit) for durations in ended]
        low = percentile(own[0], LOW) if own[0] else few / 2
        high = percentile(own[1], HIGH) if own[1] else 2 * many
        return Range.of(low, (few + many) / 2, high)

    memory = [float(one.peak_memory) for one in records if one.peak_memory is not None]
    weights = [4.0 * one.parameters for one in records if one.parameters is not None]
    return VariantCost(
        trial=seconds(False),
        cell=seconds(True),
        source="records",
        note=f"{len(records)} of {where}",
        memory=Range.of(percentile(memory, LOW), fmean(memory), max(memory)) if memory else None,
        kept=Range.of(min(weights), fmean(weights), max(weights)) if weights else NOTHING,
    )


def scaled(record: TrialRecord, before: int, now: int, pictures: float, longest: bool) -> TrialRecord:
    """A record as it would be with `now` epochs at most instead of `before`, and so many times the pictures.

    A training that had stopped by itself stops there again; of one that was cut off by its last epoch it is not known:
    `longest` says whether it has all epochs, or stops there again.
    """
    had = max(1, len(record.history))
    if had == 1 and before > 1 and record.status == "completed":
        epochs = had  # it fits at once
    elif had >= before and longest:
        epochs = max(now, 1)
    else:
        epochs = min(had, now)
    return record.model_copy(update={"seconds": record.seconds * pictures * epochs / had})

"""What the workers of a run are handed: a search's or a cell's job, which leads nowhere near the test part."""

from typing import Literal

from orchestrator.checks import CHANNELS
from orchestrator.experiment import Experiment, Variant
from orchestrator.families import family_row
from orchestrator.preparation import Context, Prepared
from orchestrator.provenance import code_version, provenance
from orchestrator.records import Provenance, TrialRecord
from orchestrator.scoring.metric_table import METRICS
from orchestrator.search.cells import Cell, Setting, strategy_of
from trainables.interface import Problem
from trainables.trial import Job


def setting_of(experiment: Experiment, variant: Variant, record: TrialRecord) -> Setting:
    """What a trial of a variant was trained with."""
    return Setting(
        record.family,
        record.config,
        experiment.size_of(variant),
        experiment.epochs_of(variant),
        strategy_of(record),
        record.trial,
    )


def cell_of(
    context: Context,
    prepared: Prepared,
    setting: Setting,
    variant: str,
    seed: int,
    stage: Literal["evaluation", "ablation"] = "evaluation",
) -> Cell:
    """A setting with a seed, on this run's data."""
    return Cell(
        setting.family,
        variant,
        setting.trial,
        setting.config,
        seed,
        setting.size,
        setting.epochs,
        context.experiment.budget.patience,
        next(iter(prepared.stores.values())).fingerprint,
        prepared.split.fingerprint,
        setting.strategy,
        stage,
    )


def job_of(context: Context, prepared: Prepared, family: str, size: tuple[int, int], epochs: int) -> Job:
    """What trainings are handed: the train and validation parts at a size, and nothing of the test part."""
    experiment, goal = context.experiment, context.goal
    split, store = prepared.split, prepared.stores[size]
    train = prepared.samples(size, split.train)
    by_pixels = goal.metric in METRICS and METRICS[goal.metric].pixel
    return Job(
        family=family_row(family).family,
        problem=Problem(
            classes=train.classes,
            shape=(*size, CHANNELS),
            epochs=epochs,
            device=context.device,
            depth=store.depth is not None,
            cache=store.folder.parent / "shared",
            data=f"{split.fingerprint} {store.folder.name}",
        ),
        train=train,
        validation=prepared.samples(size, split.validation, masks=by_pixels),
        grade=context.judge,
        metric=goal.metric,
        mode=goal.mode,
        patience=experiment.budget.patience,
        threads=max(1, int(experiment.resources.cpus)),
        states=context.folder.states,
        code=code_version(),
        epoch_seconds=None if experiment.budget.epoch_minutes is None else experiment.budget.epoch_minutes * 60,
        stop=context.folder.stop,
    )


def origin(context: Context, prepared: Prepared) -> Provenance:
    """The provenance of a record that ends now."""
    store = next(iter(prepared.stores.values()))
    return provenance(context.experiment.fingerprint, store.fingerprint, prepared.split.fingerprint, context.device)

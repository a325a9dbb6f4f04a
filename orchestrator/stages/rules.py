"""What a run keeps as it was begun, where this version begins runs otherwise: a resume must give what was asked for."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.experiment import Experiment


@dataclass(frozen=True)
class Rules:
    """By which the trials of one run are trained and judged."""

    trial_seed: int
    """That every trial trains with: none of the final trainings' seeds, or the winner would be the configuration that
    one of these seeds suits. In runs of versions before this rule, the first of them."""
    cross_fitted: bool
    """Whether an objective at a threshold is cross-fitted; in runs of versions before, it is not."""


def rules_of(experiment: Experiment, records: Iterable[TrialRecord]) -> Rules:
    """The rules of the run that holds these records; without any, those of a run that begins now."""
    seed, cross_fitted = None, None
    for record in records:
        if cross_fitted is None:
            cross_fitted = record.cross_fitted > 0
        if record.stage in ("search", "tuning"):
            seed = record.seed
            break
    return Rules(
        trial_seed=experiment.trial_seed if seed is None else seed,
        cross_fitted=True if cross_fitted is None else cross_fitted,
    )

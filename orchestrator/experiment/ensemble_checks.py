"""What is checked of an experiment's ensembles once it is known what the run seeks, before any work starts."""

from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.goal import Goal
from orchestrator.families import family_row
from trainables.errors import InputError


def check_ensembles(experiment: Experiment, goal: Goal) -> list[str]:
    """Remarks to say aloud; InputError where weights can't be fitted to validation. Imports no torch."""
    for one in experiment.ensembles:
        if one.weights == "validation" and goal.task == "detection" and not goal.anomalies:
            raise InputError(
                f"ensembles.{one.name}.weights is validation, and validation holds normal pictures only, which don't "
                "say who finds anomalies best. Set weights: uniform, or move a share of the test anomalies to "
                "validation, such as data.split.anomalies_to_validation: 0.3 (every table then says so)."
            )
    row = goal.row(goal.test_metric)
    if experiment.ensembles and row is not None and row.pixel:
        return [
            f"Ensembles have no maps, so no {goal.test_metric}: their rows stand unranked. objective.test_metric: "
            "roc_auc ranks them, too."
        ]
    return []


def refuse_alike(experiment: Experiment) -> None:
    """InputError where the seeds of an ensemble's one variant all give the same model."""
    for one in experiment.ensembles:
        if one.over == "seeds" and len(one.of) == 1 and not _seeded(experiment, one.of[0]):
            raise InputError(
                f"ensembles.{one.name} is of the seeds of {one.of[0]}, and its family has no randomness: all its seeds "
                "are one model, and so is their mean. Leave it out, or name another variant."
            )


def _seeded(experiment: Experiment, variant: str) -> bool:
    return family_row(experiment.variant(variant).family).family.seeded

"""Where the trainings of a variant run: what each holds, and how many at a time."""

from typing import NamedTuple

from orchestrator.experiment.checks import trials_at_once
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.sections import Variant


class Placement(NamedTuple):
    """Of each training of a variant, in the search and in the evaluation."""

    at_once: int
    cpus: float
    """Of each."""
    gpus: float


def placed(experiment: Experiment, variant: Variant, cpus: float, gpus: float) -> Placement:
    """On a machine with so many; the one place where a plan asks for it."""
    held = experiment.resources
    return Placement(trials_at_once(experiment, cpus, gpus), held.cpus, held.gpus)

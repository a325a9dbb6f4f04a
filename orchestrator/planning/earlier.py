"""What earlier runs tell of an experiment's costs: records of the same family and size, on the same kind of device."""

from collections.abc import Mapping, Sequence

from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.data.split.split import Split
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.of_a_run import experiment_of
from orchestrator.experiment.placement import Placement, place
from orchestrator.machine.offered import Offered
from orchestrator.planning.costs import Asked, Before, VariantCost, by_records
from trainables.errors import InputError


def costs_of_run(
    folder: RunFolder, experiment: Experiment, asked: Mapping[str, Asked], offered: Offered
) -> dict[str, VariantCost]:
    """By the variants of an experiment: of those whose like the run in `folder` has trained.

    Alike are the variants of one family at one picture size; where several are, the one of the same name. Trainings
    that held a GPU tell nothing of those that hold none, nor those of several workers of those of one. `offered`: what
    there is to train on.
    """
    theirs = experiment_of(folder)
    records = [one for one in read_records(folder.records) if one.stage in ("search", "evaluation")]
    try:
        train = len(Split.load(folder.split).train)
    except InputError:
        return {}
    found = {}
    for variant in experiment.families:
        alike = [
            one
            for one in theirs.families
            if one.family == variant.family and theirs.size_of(one) == experiment.size_of(variant)
        ]
        alike.sort(key=lambda one: one.name != variant.name)
        for one in alike[:1]:
            own = _of(records, one.name, place(experiment, variant.family, offered))
            before = Before(theirs.epochs_of(one), train)
            cost = by_records(own, before, asked[variant.name], str(folder.root))
            if cost is not None:
                found[variant.name] = cost
    return found


def _of(records: Sequence[TrialRecord], name: str, where: Placement) -> list[TrialRecord]:
    alike = (where.device == "cuda", where.workers)
    return [one for one in records if one.variant == name and (one.gpus > 0, one.workers) == alike]

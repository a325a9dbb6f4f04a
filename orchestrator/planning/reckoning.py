"""What is known of an experiment's costs, brought together: earlier runs' records, else probes."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.artifacts.cost_plan import CostPlan
from orchestrator.artifacts.provenance import now
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.data.fill.pipeline import workers_for
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.store.index import read_index
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import place
from orchestrator.experiment.preflight import Settled
from orchestrator.machine.offered import Offered
from orchestrator.machine.progress import Reporter
from orchestrator.planning.costs import Asked, VariantCost, by_probes
from orchestrator.planning.earlier import costs_of_run
from orchestrator.planning.parts import (
    PACE,
    Pictures,
    cell_parts,
    ensemble_parts,
    render_part,
    report_part,
    search_parts,
    start_part,
)
from orchestrator.planning.probing import Probes, probe
from orchestrator.planning.sizes import Sizes, division
from orchestrator.planning.wanted import Wanted, of_a_sweep, of_an_ablation
from orchestrator.stages.prepare import store_name


def reckoned(
    settled: Settled,
    folder: RunFolder | None,
    earlier: Sequence[RunFolder],
    local: Offered,
    seconds: float,
    reporter: Reporter,
    ablation: bool,
) -> CostPlan:
    """The plan of a settled experiment on a machine with what `local` says.

    `folder`: of the run to be, which may hold pictures already. `earlier`: runs whose records tell, those of the last
    before those of the others; `seconds`: what probes may take. `ablation`: of what `ablate` runs, not of a sweep.
    """
    wanted = of_an_ablation(settled) if ablation else of_a_sweep(settled)
    experiment = wanted.experiment
    listing, split = division(settled)
    sizes = Sizes.of(split)
    trials = {line.variant: line.trials for line in wanted.searches}
    asked = {
        one.name: Asked(
            trials=trials.get(one.name, 1),
            epochs=experiment.epochs_of(one),
            patience=experiment.budget.patience,
            scheduler=experiment.scheduler,
            detection=settled.goal.task == "detection",
            sizes=sizes,
        )
        for one in experiment.families
    }
    known: dict[str, VariantCost] = {}
    for run in earlier:
        known |= costs_of_run(run, experiment, asked, local)
    missing = {size: _missing(experiment, folder, listing, size) for size in _sizes(experiment)}
    unknown = [name for name in asked if name not in known]
    probes = Probes()
    if unknown or any(missing.values()):
        of = f", and training {len(unknown)} of {len(asked)} variants a few steps" if unknown else ""
        reporter.say(f"Drawing some pictures{of}: at most {seconds:g} s …")
        probes = probe(experiment, unknown, seconds)
    costs = {name: known.get(name) or _probed(name, asked[name], probes) for name in asked}
    if ablation:
        costs = _as_the_baseline(costs)
    pace, cpus = probes.start or PACE, int(local.cpus)
    places = {one.name: place(experiment, one.family, local) for one in experiment.families}
    return CostPlan(
        experiment=settled.experiment.fingerprint,
        command="ablate" if ablation else "sweep",
        made=now(),
        host=platform.node(),
        cpus=local.cpus,
        gpus=local.gpus,
        probed_seconds=probes.seconds,
        parts=(
            start_part(pace),
            render_part([_pictures(size, count, probes, sizes, cpus) for size, count in missing.items()], pace),
            *search_parts(wanted.searches, experiment, costs, places, pace),
            *cell_parts(wanted.cells, experiment, costs, places, pace, sizes.test),
            *([] if ablation else ensemble_parts(experiment, sizes.test)),
            report_part(pace, len(asked)),
        ),
        remarks=(*probes.failures, *_remarks(settled.experiment, wanted, costs, probes, cpus)),
    )


def _probed(name: str, asked: Asked, probes: Probes) -> VariantCost | str:
    """What probes say of a variant, or why they say nothing."""
    found = probes.trainings.get(name)
    return by_probes(found, asked) if found else "no training ended within the time of the probes"


def _as_the_baseline(costs: Mapping[str, VariantCost | str]) -> dict[str, VariantCost | str]:
    """Rows of an ablation of which nothing is known cost what its baseline does, or half of it, or twice as much."""
    (_, base), *_ = costs.items()
    if isinstance(base, str):
        return dict(costs)
    trial, cell = (one.model_copy(update={"low": one.low / 2, "high": 2 * one.high}) for one in (base.trial, base.cell))
    like = replace(base, trial=trial, cell=cell, note="as the baseline, half or double: it was not probed in time")
    return {name: like if isinstance(cost, str) else cost for name, cost in costs.items()}


def _sizes(experiment: Experiment) -> list[tuple[int, int]]:
    return list(dict.fromkeys(experiment.size_of(one) for one in experiment.families))


def _missing(experiment: Experiment, folder: RunFolder | None, listing: Listing, size: tuple[int, int]) -> int:
    """How many files no store of the run has a picture of yet."""
    root = experiment.data.store or (None if folder is None else folder.stores)
    index = None if root is None else read_index(root / store_name(experiment.data, size))
    there = set() if index is None else set(index.rows.path)
    return sum(file.path not in there for file in listing.files)


def _pictures(size: tuple[int, int], missing: int, probes: Probes, sizes: Sizes, cpus: int) -> Pictures:
    drawn = probes.drawings.get(size)
    found = Pictures(size, sizes.pictures, missing, probes.hashing, workers=workers_for(missing, 0, cpus))
    if drawn is None:
        return found
    return found._replace(starting=drawn.starting, drawing=drawn.drawing, stored=drawn.stored)


def _remarks(
    experiment: Experiment, wanted: Wanted, costs: Mapping[str, VariantCost | str], probes: Probes, cpus: int
) -> list[str]:
    """What the figures do not hold, and what speaks against them."""
    said = []
    names = {line.variant: line.name for line in (*wanted.searches, *wanted.cells)}
    short = [names[name] for name, cost in costs.items() if isinstance(cost, str)]
    if short:
        said.append(
            f"What {', '.join(short)} takes is not known, and is in no sum: give probes more time (--seconds), or a "
            "run that has trained the like (--like RUN)."
        )
    if probes.seconds and (load := os.getloadavg()[0]) > cpus + 1:
        said.append(
            f"The machine had other work while it was probed (a load of {load:.0f} on {cpus} CPUs): the run takes less "
            "time where that ends, and more where there is more of it."
        )
    if (workers := experiment.resources.workers) > 1:
        said.append(
            f"Trainings are probed on one worker: how much less time {workers} take that share them is not known, and "
            "starting them takes some 20 s a training more."
        )
    if wanted.again:
        said.append(f"Judged again by scores that are there, which trains nothing: {', '.join(wanted.again)}.")
    if experiment.heat_maps:
        said.append("The files of heat_maps are not counted.")
    if experiment.ablation is not None and wanted.experiment is experiment:
        said.append("The ablation is not counted: --ablate plans it.")
    return said

"""What an experiment will cost, with ranges, before any of it runs."""

import platform
from collections.abc import Mapping
from os import PathLike

from orchestrator.artifacts.cost_plan import CostPlan
from orchestrator.artifacts.provenance import now
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.data.fill.pipeline import workers_for
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.store.index import read_index
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.preflight import Settled, settle
from orchestrator.machine.progress import Reporter
from orchestrator.machine.resources import local_resources
from orchestrator.planning.costs import Asked, VariantCost, by_probes
from orchestrator.planning.earlier import costs_of_run
from orchestrator.planning.parts import PACE, Pictures, cell_parts, render_part, report_part, search_parts, start_part
from orchestrator.planning.placement import placed
from orchestrator.planning.probing import Probes, probe
from orchestrator.planning.sizes import Sizes, division
from orchestrator.running.claim import check_folder, open_run, run_at
from orchestrator.stages.prepare import store_name
from trainables.errors import InputError

SECONDS = 60.0
"""What probes take at most."""
LEAST_SECONDS = 5.0


def plan(
    experiment: Experiment,
    out: str | PathLike[str] | None = None,
    *,
    like: str | PathLike[str] | None = None,
    seconds: float = SECONDS,
    reporter: Reporter | None = None,
) -> CostPlan:
    """What a sweep of an experiment will take: trials, wall time, CPU- and GPU-hours, memory, disk, each with a range.

    By the records of the run in `like`, and of the one in `out` where it is begun; of what these have not trained,
    short trainings tell, which take `seconds` in all at most. `out` keeps the plan, for its run's report to show
    beside what it took. No run is started. `reporter` says what happens; unset, on standard error. InputError for bad
    input, as for a run, and before anything is probed.
    """
    reporter = reporter or Reporter()
    if seconds < LEAST_SECONDS:
        raise InputError(f"seconds is {seconds:g}; a probe needs {LEAST_SECONDS:g} or more.")
    folder = None if out is None else run_at(out)
    earlier = [] if like is None else [open_run(like)]
    local = local_resources()
    settled = settle(experiment, resources=local, claim=lambda known: _claim(known, folder))
    if folder is not None and folder.experiment.exists():
        earlier.append(folder)
    made = _made(settled, folder, earlier, local, seconds, reporter)
    if folder is not None:
        try:
            folder.root.mkdir(parents=True, exist_ok=True)
            made.save(folder.plan)
        except OSError as error:
            raise InputError(f"{folder.plan} can't be written: {error.strerror}. Give another --out.") from None
    return made


def _claim(experiment: Experiment, folder: RunFolder | None) -> None:
    if folder is not None:
        check_folder(experiment, folder, resume=True)


def _made(
    settled: Settled,
    folder: RunFolder | None,
    earlier: list[RunFolder],
    local: Mapping[str, float],
    seconds: float,
    reporter: Reporter,
) -> CostPlan:
    experiment = settled.experiment
    listing, split = division(settled)
    sizes = Sizes.of(split)
    asked = {
        one.name: Asked(
            trials=experiment.budget.trials,
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
        known |= costs_of_run(run, experiment, asked)
    missing = {size: _missing(experiment, folder, listing, size) for size in _sizes(experiment)}
    unknown = [name for name in asked if name not in known]
    probes = Probes()
    if unknown or any(missing.values()):
        of = f", and training {len(unknown)} of {len(asked)} variants a few steps" if unknown else ""
        reporter.say(f"Drawing some pictures{of}: at most {seconds:g} s …")
        probes = probe(experiment, unknown, seconds)
    costs: dict[str, VariantCost | str] = {}
    for name in asked:
        found = probes.trainings.get(name)
        if name in known:
            costs[name] = known[name]
        else:
            costs[name] = by_probes(found, asked[name]) if found else "no training ended within the time of the probes"
    pace = probes.start or PACE
    places = {one.name: placed(experiment, one, **local) for one in experiment.families}
    cpus = int(local["cpus"])
    return CostPlan(
        experiment=experiment.fingerprint,
        made=now(),
        host=platform.node(),
        cpus=local["cpus"],
        gpus=local["gpus"],
        probed_seconds=probes.seconds,
        parts=(
            start_part(pace),
            render_part([_pictures(size, count, probes, sizes, cpus) for size, count in missing.items()], pace),
            *search_parts(experiment, costs, places, pace),
            *cell_parts(experiment, costs, places, pace, sizes.test),
            report_part(pace, len(asked)),
        ),
        remarks=(*probes.failures, *_remarks(experiment, costs)),
    )


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


def _remarks(experiment: Experiment, costs: Mapping[str, VariantCost | str]) -> list[str]:
    """What the figures do not hold."""
    said = []
    short = [name for name, cost in costs.items() if isinstance(cost, str)]
    if short:
        said.append(
            f"What {', '.join(short)} takes is not known, and is in no sum: give probes more time (--seconds), or a "
            "run that has trained the like (--like RUN)."
        )
    if experiment.heat_maps:
        said.append("The files of heat_maps are not counted.")
    if experiment.ablation is not None:
        said.append("The ablation is not counted: it is run by orchestrate ablate.")
    return said

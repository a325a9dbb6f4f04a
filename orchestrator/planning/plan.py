"""What an experiment will cost, with ranges, before any of it runs."""

from os import PathLike

from orchestrator.artifacts.cost_plan import CostPlan
from orchestrator.artifacts.run_folder import RunFolder, run_at
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.preflight import settle
from orchestrator.machine.progress import Reporter
from orchestrator.machine.resources import local_resources
from orchestrator.running.claim import check_folder, check_is_experiment, open_run
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
    ablation: bool = False,
    reporter: Reporter | None = None,
) -> CostPlan:
    """What a sweep of an experiment will take: trials, wall time, CPU- and GPU-hours, memory, disk, each with a range.

    By the records of the run in `like`, and of the one in `out` where it is begun; of what these have not trained,
    short trainings tell, which take `seconds` in all at most. `out` keeps the plan, for its run's report to show
    beside what it took. `ablation`: of what `ablate` runs, instead of a sweep. No run is started. `reporter` says what
    happens; unset, on standard error. InputError for bad input, as for a run, and before anything is probed.
    """
    reporter = reporter or Reporter()
    check_is_experiment(experiment)
    if seconds < LEAST_SECONDS:
        raise InputError(f"seconds is {seconds:g}; a probe needs {LEAST_SECONDS:g} or more.")
    folder = None if out is None else run_at(out)
    earlier = [] if like is None else [open_run(like)]
    local = local_resources()
    settled = settle(experiment, ablation=ablation, resources=local, claim=lambda known: _claim(known, folder))
    if folder is not None and folder.experiment.exists():
        earlier.append(folder)
    # Only now: what plans and draws takes seconds to import that bad input should not.
    from orchestrator.planning.reckoning import reckoned

    made = reckoned(settled, folder, earlier, local, seconds, reporter, ablation)
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

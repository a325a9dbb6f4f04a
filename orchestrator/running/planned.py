"""What a run was planned to take, beside what it took: said at its end."""

from orchestrator.artifacts.cost_plan import CostPlan
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.spent import read_spent
from orchestrator.experiment.experiment import Experiment
from orchestrator.machine.progress import duration
from trainables.errors import InputError


def plan_of(folder: RunFolder, experiment: Experiment) -> CostPlan | None:
    """The plan in a run's folder; None where there is none, or none of this experiment that can be read."""
    if not folder.plan.exists():
        return None
    try:
        plan = CostPlan.load(folder.plan)
    except InputError:
        return None  # the report says what is wrong with it
    return plan if plan.experiment == experiment.fingerprint else None


def told_at_the_end(folder: RunFolder, experiment: Experiment) -> str:
    """Planned and actual wall time of the whole run; empty where nothing was planned."""
    plan = plan_of(folder, experiment)
    if plan is None:
        return ""
    wall, took = plan.seconds, sum(read_spent(folder.spent).values())
    without = f" without {', '.join(plan.unknown)}," if plan.unknown else ""
    return (
        f"Planned:{without} {duration(wall.likely)} ({duration(wall.low)} to {duration(wall.high)}). "
        f"Took: {duration(took)}; stage by stage in the report, under Cost."
    )

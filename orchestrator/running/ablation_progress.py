"""What a sweep says of the ablation in its experiment, which it leaves alone."""

import shlex
from contextlib import suppress

from orchestrator.artifacts.ablation_plan import AblationPlan
from orchestrator.artifacts.records import read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.settings import digest
from trainables.errors import InputError


def told_by_a_sweep(experiment: Experiment, folder: RunFolder) -> str:
    """How far the ablation is, and the command that runs what is missing of it."""
    command = shlex.join(["orchestrate", "ablate", str(folder.experiment), "--out", str(folder.root)])
    plan, asked = None, experiment.ablation
    if folder.ablation.exists():
        with suppress(InputError):  # `ablate` writes it anew
            plan = AblationPlan.load(folder.ablation)
    if plan is None or asked is None:
        return f"A sweep leaves `ablation:` alone. Run it on top: {command}"
    if (plan.design, plan.factors, plan.tuned) != (asked.design, asked.factors, asked.tune):
        return f"A sweep leaves `ablation:` alone; it has changed since it was run. Run what is new: {command}"
    done = {(record.cell, record.seed) for record in read_records(folder.records) if record.status == "completed"}
    # Else no trial of its tuning gave a result, and no record ever has it.
    found = [variant.cell for variant in plan.variants if variant.cell != digest(variant.folder)]
    cells = [(cell, seed) for cell in found for seed in experiment.seeds]
    missing = sum(cell not in done for cell in cells)
    if missing:
        return f"A sweep leaves the ablation alone: {missing} of {len(cells)} cells are missing. Run them: {command}"
    return f"The ablation is done ({len(cells)} cells), and a sweep leaves it alone. After a change of it: {command}"

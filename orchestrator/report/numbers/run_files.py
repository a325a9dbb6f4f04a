"""The files beside a run's records, read loosely: what is missing or broken is left out, with a remark."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.artifacts.ablation_plan import AblationPlan
from orchestrator.artifacts.choices import Choice
from orchestrator.artifacts.cost_plan import CostPlan
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.experiment import read_experiment
from orchestrator.scoring.metric_table import Metric
from orchestrator.scoring.own_metrics import read_own
from trainables.errors import InputError
from trainables.speed import NO_LIMITS, Limits


def section(values: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of the experiment's file; empty where it holds none."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def ablation_in(path: Path, remarks: list[str]) -> AblationPlan | None:
    """The ablation's plan; None where there is none, or, with a remark, where it is broken."""
    if not path.exists():
        return None
    try:
        plan = AblationPlan.load(path)
    except InputError as error:
        remarks.append(f"The ablation is left out: {error}")
        return None
    names = [variant.name for variant in plan.variants]
    if not names or len(set(names)) < len(names):
        fault = "a name twice" if names else "no variant"
        remarks.append(f"The ablation is left out: {path.name} has {fault}. `orchestrate ablate` writes it anew.")
        return None
    return plan


def cost_plan_in(run: RunFolder, prints: Collection[str], remarks: list[str]) -> CostPlan | None:
    """What the run was expected to cost, where that was asked for; None, with a remark, where the plan is another
    experiment's or broken."""
    if run.is_part or not run.plan.exists():
        return None
    try:
        plan = CostPlan.load(run.plan)
    except InputError as error:
        remarks.append(f"What was planned is left out: {error}")
        return None
    if prints and plan.experiment not in prints:
        remarks.append(f"What was planned is left out: {run.plan.name} is of another experiment than the run.")
        return None
    return plan


def choices_in(run: RunFolder, studies: Iterable[str], remarks: list[str]) -> dict[str, Choice]:
    """What was chosen of each study where it is written down; what is broken is left out, with a remark."""
    found = {}
    for study in sorted(studies):
        try:
            if (choice := Choice.load(run.choice(study))) is not None:
                found[study] = choice
        except InputError as error:
            remarks.append(f"How a winner was chosen is left out: {error}")
    return found


def own_metrics_in(path: Path, remarks: list[str]) -> tuple[Metric, ...]:
    """What describes the user's own metrics; nothing, with a remark, where it is broken."""
    try:
        return read_own(path)
    except InputError as error:
        remarks.append(f"The user's own metrics are not described: {error}")
        return ()


def mapping(path: Path, remarks: list[str]) -> dict[str, Any]:
    """A YAML or JSON file that holds keys; empty, with a remark, where it is missing or broken."""
    try:
        values = read_experiment(path) if path.suffix == ".yaml" else json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remarks.append(f"{path.name} is missing: what it would say is left out.")
        return {}
    except (OSError, ValueError, RecursionError) as error:
        remarks.append(f"{path.name} can't be read ({str(error).splitlines()[0]}): what it would say is left out.")
        return {}
    if not isinstance(values, dict):
        remarks.append(f"{path.name} holds no keys: what it would say is left out.")
        return {}
    return values


def limits_in(experiment: dict[str, Any]) -> Limits:
    """The experiment's objective.constraints; none where they can't be read."""
    try:
        return Limits.model_validate(section(section(experiment, "objective"), "constraints"))
    except ValidationError:
        return NO_LIMITS

"""A plan for a terminal, and as plain values."""

from typing import Any

from orchestrator.artifacts.cost_plan import CostPlan
from orchestrator.report.document.document import Listing
from orchestrator.report.document.formatting import byte_size, duration, plural, printable
from orchestrator.report.document.plain_text import blocks_text
from orchestrator.report.sections.cost_section import plan_table


def plan_text(plan: CostPlan) -> str:
    """What it will cost in one sentence, then the table, then what is not known."""
    wall, hours = plan.seconds, plan.cpu_hours
    said = f"About {duration(wall.likely)} [{duration(wall.low)} to {duration(wall.high)}]"
    gpus = plan.gpu_hours
    more = [plural(plan.trials, "trial"), f"{hours.likely:.2f} CPU hours"]
    more += [f"{gpus.likely:.2f} GPU hours"] if gpus.high else []
    more += [f"{byte_size(plan.memory.likely)} of memory"] if plan.memory is not None else []
    more += [f"{byte_size(plan.disk.likely)} on the disk"]
    without = f", without {', '.join(map(printable, plan.unknown))}" if plan.unknown else ""
    first = f"{said}{without}: {', '.join(more)}."
    probed = f"Probes took {duration(plan.probed_seconds)}." if plan.probed_seconds else "Nothing had to be probed."
    told: dict[str, str] = {}
    for part in plan.parts:  # a variant's search and its evaluation are known by the same
        told.setdefault(part.variant or part.stage, part.note)
    notes = [f"{printable(name)}: {printable(note)}" for name, note in told.items() if note]
    remarks = [*map(printable, plan.remarks), probed]
    return f"{first}\n\n{blocks_text([plan_table(plan), Listing(notes), Listing(remarks)])}"


def plan_json(plan: CostPlan) -> dict[str, Any]:
    """The plan with its sums, as plain JSON values."""
    sums: dict[str, Any] = {
        name: getattr(plan, name).model_dump() for name in ("seconds", "cpu_hours", "gpu_hours", "disk")
    }
    sums |= {"trials": plan.trials, "memory": None if plan.memory is None else plan.memory.model_dump()}
    return {**plan.model_dump(mode="json"), "in_all": sums, "unknown": plan.unknown}

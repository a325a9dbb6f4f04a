"""What a run cost, and what it was expected to cost: a table for the report and for `orchestrate plan`."""

from collections.abc import Callable, Mapping
from typing import Literal

import pandas as pd

from orchestrator.artifacts.cost_plan import BOUNDS, CostPlan, PlannedPart, Range
from orchestrator.report.document.document import Block, Listing, Section, Table, TableCell
from orchestrator.report.document.formatting import NONE, byte_size, count, duration, number, plural, printable
from orchestrator.report.numbers.actual_cost import Actual, Key, unplanned
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.sections.tables import cost_table

Shown = Callable[[float], str]
"""How a quantity is printed."""
UNITS = {"render": "picture", "search": "trial", "tuning": "trial", "evaluation": "model", "ablation": "model"}
RANGE = "from – to"
TONES: dict[str, Literal["bad", "quiet"]] = {"unknown": "bad", "rule": "quiet"}
HARDLY = 0.005
"""Hours that are not worth two decimals."""


def cost_section(
    data: RunData, frame: pd.DataFrame, actual: Mapping[Key, Actual] | None, speeds: Table | None = None
) -> Section:
    """What the records cost; how fast the models are; and, where a plan was made, what that said."""
    blocks: list[Block] = [cost_table(frame), *([speeds] if speeds is not None else [])]
    if data.planned is not None and actual is not None:
        blocks.append(planned_table(data.planned, actual))
        more = [f"{stage} {printable(name)}".rstrip() for stage, name in unplanned(data.planned.parts, actual)]
        said = [printable(one) for one in data.planned.remarks]
        if more:
            said.append(f"No line of the plan has: {', '.join(more)}.")
        blocks += [Listing(said)] if said else []
    return Section("cost", "Cost", blocks=blocks)


def plan_table(plan: CostPlan) -> Table:
    """A plan before its run: likely values, each with its range beside it."""
    with_gpu = plan.gpus > 0 or plan.gpu_hours.high > 0
    gpu = ["GPU h", RANGE] if with_gpu else []
    columns = ["Stage", "Work", "By", "Wall time", RANGE, "CPU h", RANGE, *gpu, "Memory", RANGE, "Disk"]

    def row(name: TableCell, work: str, one: PlannedPart | CostPlan, by: TableCell) -> list[TableCell]:
        return [
            name,
            TableCell(work),
            by,
            *_apart(one.seconds, duration),
            *_apart(one.cpu_hours, _hours),
            *(_apart(one.gpu_hours, _hours) if with_gpu else ()),
            *_apart(one.memory, _bytes),
            _apart(one.disk, _bytes)[0],
        ]

    rows = [
        row(TableCell(_name(part)), _work(part), part, TableCell(part.source, tone=TONES.get(part.source, "")))
        for part in plan.parts
    ]
    rows.append(row(TableCell("in all", tone="strong"), plural(plan.trials, "trial"), plan, TableCell("")))
    machine = f"{number(plan.cpus, 0)} CPUs" + (f" and {plural(int(plan.gpus), 'GPU')}" if plan.gpus else "")
    most = max(part.at_once for part in plan.parts)
    beside = f", up to {most} trainings at a time" if most > 1 else ""
    caption = (
        f"What is expected on {machine}{beside}. {BOUNDS} Rules of thumb are half to twice as much. Memory is of one "
        "process; in all, of those that run at once."
    )
    return Table("plan", caption, columns, rows, frozenset(range(3, len(columns))))


def planned_table(plan: CostPlan, actual: Mapping[Key, Actual]) -> Table:
    """A plan beside what the run took."""
    with_gpu = plan.gpu_hours.high > 0 or any(one.gpu_hours for one in actual.values())
    gpu = ["GPU hours", "took"] if with_gpu else []
    columns = ["Stage", "Count", "ran", "Wall time", "took", "CPU hours", "took", *gpu, "Memory", "peak", "Disk", "is"]
    rows = []
    for part in plan.parts:
        took = actual.get((part.stage, part.variant), Actual())
        counted = part.stage in UNITS and part.stage != "render"
        rows.append(
            [
                TableCell(_name(part)),
                TableCell(count(part.units) if part.units else ""),
                TableCell(count(took.units) if counted else ""),
                *_beside(part.seconds, took.seconds, duration),
                *_beside(part.cpu_hours, took.cpu_hours, _hours),
                *(_beside(part.gpu_hours, took.gpu_hours, _hours) if with_gpu else ()),
                *_beside(part.memory, None if took.memory is None else float(took.memory), _bytes),
                *_beside(part.disk, None if took.disk is None else float(took.disk), _bytes),
            ]
        )
    known = [(part, actual.get((part.stage, part.variant), Actual())) for part in plan.parts]

    def summed(name: str) -> float:
        return float(sum(getattr(took, name) or 0.0 for _, took in known))

    rows.append(
        [
            TableCell("in all", tone="strong"),
            TableCell(""),
            TableCell(""),
            *_beside(plan.seconds, summed("seconds"), duration),
            *_beside(plan.cpu_hours, summed("cpu_hours"), _hours),
            *(_beside(plan.gpu_hours, summed("gpu_hours"), _hours) if with_gpu else ()),
            _ranged(plan.memory, _bytes),
            TableCell(NONE, tone="quiet"),
            *_beside(plan.disk, summed("disk"), _bytes),
        ]
    )
    caption = (
        f"What was planned at {plan.made}, with its range in brackets, beside what it took. {BOUNDS} Red is above its "
        "range. What a report takes is known only when it is written, and is noted for the next one."
    )
    return Table("plan", caption, columns, rows, frozenset(range(1, len(columns))), stacked=True)


def _name(part: PlannedPart) -> str:
    return f"{part.stage} {printable(part.variant)}".rstrip()


def _work(part: PlannedPart) -> str:
    """`20 trials on 3 splits`."""
    if part.stage not in UNITS:
        return ""
    splits = f" on {plural(part.splits, 'split')}" if part.splits > 1 else ""
    return f"{plural(part.units, UNITS[part.stage])}{splits}"


def _hours(hours: float) -> str:
    return f"{hours:.2f}" if hours >= HARDLY or not hours else f"< {2 * HARDLY:g}"


def _bytes(size: float) -> str:
    return byte_size(size) if size >= 2**20 else "< 1 MiB"


def _ranged(expected: Range | None, said: Shown) -> TableCell:
    """The likely value, with its range below it."""
    if expected is None:
        return TableCell(NONE, tone="quiet")
    if not expected.high:
        return TableCell("0", tone="quiet")
    low, high = said(expected.low), said(expected.high)
    return TableCell(said(expected.likely), "" if low == high else f"[{low} to {high}]")


def _apart(expected: Range | None, said: Shown) -> tuple[TableCell, TableCell]:
    """The likely value, and its range where the two ends are not printed alike."""
    if expected is None or not expected.high:
        return TableCell(NONE if expected is None else "0", tone="quiet"), TableCell("")
    low, high = said(expected.low), said(expected.high)
    return TableCell(said(expected.likely)), TableCell("" if low == high else f"{low} – {high}", tone="quiet")


def _beside(expected: Range | None, took: float | None, said: Shown) -> tuple[TableCell, TableCell]:
    if took is None:
        return _ranged(expected, said), TableCell(NONE, tone="quiet")
    above = expected is not None and expected.high > 0 and took > expected.high
    return _ranged(expected, said), TableCell(said(took), tone="bad" if above else "")

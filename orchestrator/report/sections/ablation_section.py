"""The ablation's part of the report: its section, its files of numbers, and every cell behind them."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from orchestrator.artifacts.ablation_plan import AblationPlan
from orchestrator.report.document.document import Block, Charts, Fold, Section, Table
from orchestrator.report.document.formatting import plural, printable, words
from orchestrator.report.figures.ablation_figure import ablation_chart
from orchestrator.report.numbers.frames import comparison_rows, flat
from orchestrator.report.numbers.measured import Standing, ablated, measured
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.sections.ablation_table import ablation_frame, ablation_table
from orchestrator.report.sections.pairwise_section import TITLE, pairwise_frame, pairwise_table

_DESIGNS = {
    "one_factor": "One factor at a time is changed from the baseline.",
    "factorial": "Every combination of the factors' levels is a variant.",
    "named": "The variants are a named list; several changes may be made at once.",
}


_PROVENANCE = ("experiment", "data", "split", "code", "device", "host", "finished")


class Ablation:
    """One run's ablation, measured once."""

    def __init__(self, data: RunData, plan: AblationPlan) -> None:
        self.data, self.plan = data, plan
        self.lineup = ablated(data)
        self.rows: list[Standing] = measured(data).ablated

    @cached_property
    def table(self) -> Table:
        """What every format prints."""
        return ablation_table(self.data, self.plan, self.rows)

    def printed(self, metrics: Sequence[str]) -> Table:
        """What papers quote: the table, or that of just these metrics."""
        return ablation_table(self.data, self.plan, self.rows, metrics) if metrics else self.table

    @cached_property
    def section(self) -> Section:
        """The table, which cells failed or are missing, and the tests on the same pictures."""
        tests = pairwise_table(self.data, self.rows, self.lineup.baseline, "ablation_pairwise")
        text = [f"{_DESIGNS[self.plan.design]} Each variant is trained with the same seeds."]
        missing = self._missing()
        if missing:
            text.append(f"Missing: {words(missing, 8)}.")
        drawn = ablation_chart(self.data, self.rows, self.plan.variants[0].name)
        blocks: list[Block] = [*([Charts([drawn])] if drawn is not None else []), self.table]
        if tests is not None:
            blocks.append(Fold(TITLE, [tests]))
        return Section("ablation", "Ablation", text, blocks)

    @cached_property
    def frames(self) -> dict[str, pd.DataFrame]:
        """A CSV each: the printed numbers, the comparisons in full, the tests of each seed."""
        return {
            "ablation": ablation_frame(self.data, self.plan, self.rows),
            "ablation_comparisons": comparison_rows(self.rows, self.lineup.baseline),
            "ablation_pairwise": pairwise_frame(self.rows, self.lineup.baseline, self.data.task),
        }

    @cached_property
    def cells(self) -> pd.DataFrame:
        """A row a cell and seed, failed ones too: every metric, the configuration, cost and fingerprints."""
        rows = [
            {
                "variant": printable(variant.name),
                "baseline": place == 0,
                "family": record.family,
                "folder": printable(record.variant),
                "cell": record.cell,
                "seed": record.seed,
                "stage": record.stage,
                "trial": record.trial,
                "status": record.status,
                "reason": printable(record.reason),
                "epoch": record.epoch,
                **{f"metric.{printable(name)}": value for name, value in record.metrics.items()},
                **{f"config.{printable(key)}": value for key, value in flat(record.config).items()},
                "threshold.strategy": None if record.threshold is None else printable(record.threshold.strategy),
                "threshold.value": None if record.threshold is None else record.threshold.value,
                "seconds": record.seconds,
                "gpu_seconds": record.gpu_seconds,
                "energy": record.energy,
                "parameters": record.parameters,
                "peak_memory": record.peak_memory,
                "own_memory": record.own_memory,
                **{f"provenance.{key}": printable(getattr(record.provenance, key)) for key in _PROVENANCE},
            }
            for place, variant in enumerate(self.plan.variants)
            for record in self.data.ablated[variant.name]
        ]
        frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=["variant", "baseline", "family", "cell", "seed"])
        for column in frame.columns:
            frame[column] = _one_type(frame[column])
        return frame

    def _missing(self) -> list[str]:
        """The variants of which a seed has no completed cell, and why."""
        found = []
        for row in self.rows:
            ended = {one.seed: one.status for one in self.data.ablated[row.variant]}
            missing = [seed for seed in self.plan.seeds if seed not in row.seeds]
            if missing:
                states = [f"seed {seed} {_state(ended.get(seed))}" for seed in missing]
                short = plural(len(missing), "seed") if len(missing) > 3 else ", ".join(states)
                found.append(f"{printable(row.variant)} ({short})")
        return found


def _state(status: str | None) -> str:
    return "not run" if status is None else "without a metric" if status == "completed" else status


def _one_type(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column that a parquet file can hold: of values of several types, their text."""
    known = [value for value in column if value is not None and value == value]
    kinds = {type(value) for value in known}
    if kinds <= {int, float} and all(abs(value) < 2**53 for value in known):
        return column
    if kinds <= {bool} and len(known) == len(column):
        return column
    return column.map(lambda value: None if value is None or value != value else printable(value))

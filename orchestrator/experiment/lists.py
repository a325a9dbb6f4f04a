"""What an experiment's file may name, as lists: families, metrics, threshold strategies."""

from dataclasses import dataclass

from orchestrator.families import FAMILIES
from orchestrator.families import GROUP as FAMILY_GROUP
from orchestrator.scoring.metric_table import GROUP as METRIC_GROUP
from orchestrator.scoring.metric_table import METRICS
from orchestrator.scoring.strategy_rules import RULES, written
from trainables.own_code import installed

BETTER = {"max": "higher is better", "min": "lower is better"}
NEEDS = {"scores": "", "threshold": "; needs a threshold", "masks": "; needs masks"}


@dataclass(frozen=True)
class Listed:
    """One thing that can be named."""

    name: str
    """As the file has it."""
    kind: str
    """The task that it is for; `threshold` for a strategy; `installed` for what another package brings."""
    text: str
    """What it is."""


def list_families() -> list[Listed]:
    """The families of models, then those of installed packages. Nothing of theirs is imported."""
    return [*(Listed(row.name, row.task, row.summary) for row in FAMILIES.values()), *_installed(FAMILY_GROUP)]


def list_metrics() -> list[Listed]:
    """The metrics, then those of installed packages, then the threshold strategies."""
    rows = [
        Listed(row.name, row.task, f"{row.meaning}; {BETTER[row.mode]}{NEEDS[row.needs]}") for row in METRICS.values()
    ]
    rules = [
        Listed(written(name), "threshold", rule.meaning + ("; needs anomalies" if rule.needs_anomalies else ""))
        for name, rule in RULES.items()
    ]
    return [*rows, *_installed(METRIC_GROUP), *rules]


def _installed(group: str) -> list[Listed]:
    return [
        Listed(point.name, "installed", f"{point.value}, of {point.dist.name if point.dist else 'a package'}")
        for point in installed(group).values()
    ]

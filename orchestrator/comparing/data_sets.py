"""What a leaderboard over runs holds of each data set."""

from dataclasses import dataclass
from typing import Literal

from orchestrator.scoring.intervals import Estimate
from trainables.interface import Mode, Task


@dataclass(frozen=True)
class BoardRow:
    """One variant of one run."""

    run: str
    """What the run is called here; printable."""
    root: str
    variant: str
    family: str
    estimate: Estimate | None
    """None where the run does not know the metric."""
    seeds: int
    seconds: float | None
    """Mean wall time of a cell."""
    parameters: int | None
    source: Literal["run", "scores", "metrics"] = "run"
    """Of another tool: whether its scores were judged here, or it brought its metrics."""

    @property
    def foreign(self) -> bool:
        """Whether another tool made it."""
        return self.source != "run"


@dataclass(frozen=True)
class DataSet:
    """What was judged on one split of one data set, best first."""

    label: str
    """The last part of data.path, with the split's fingerprint where two have the same."""
    data: str
    split: str
    task: Task
    metric: str
    mode: Mode
    rows: tuple[BoardRow, ...]
    caveat: str
    """What every figure here must say of itself; may be empty."""

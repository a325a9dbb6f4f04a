"""What a run was expected to cost before it began, as it stands in its folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from trainables.errors import InputError
from trainables.files import write_whole

PlannedStage = Literal["start", "render", "search", "evaluation", "tuning", "ablation", "report"]
"""start: Ray and what it needs until work begins; the others are those of a run."""
Source = Literal["records", "probes", "rule", "unknown"]
"""By what a line is known: earlier runs' records; trainings of a few steps; a rule of thumb; nothing."""
BOUNDS = (
    "The lower end of a range is the 10th percentile over the configurations that were probed or recorded, each "
    "training stopped as early as patience and scheduler can; the upper end is the 90th percentile with every epoch."
)
"""What the ranges are."""


class Range(BaseModel):
    """A quantity that is not known exactly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float
    likely: float
    high: float

    @classmethod
    def of(cls, low: float, likely: float, high: float) -> Self:
        """The three in their order, whatever rounding has made of them."""
        return cls(low=min(low, likely), likely=likely, high=max(likely, high))

    def times(self, factor: float) -> "Range":
        """The same of so many."""
        return Range(low=self.low * factor, likely=self.likely * factor, high=self.high * factor)

    def plus(self, other: "Range") -> "Range":
        """Both together, as if they were low, and high, together: the range can only be too wide."""
        return Range(low=self.low + other.low, likely=self.likely + other.likely, high=self.high + other.high)


NOTHING = Range(low=0.0, likely=0.0, high=0.0)


class PlannedPart(BaseModel):
    """One stage, of one variant where it has variants, on all the run's splits together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: PlannedStage
    variant: str = ""
    splits: int = 1
    """On how many of the run's splits it is done."""
    units: int = 0
    """Pictures, trials or models, of all splits."""
    at_once: int = 1
    """That run beside each other."""
    seconds: Range | None = None
    """Wall time; None: not known."""
    cpu_hours: Range = NOTHING
    """CPUs that are reserved, times the hours for which they are."""
    gpu_hours: Range = NOTHING
    memory: Range | None = None
    """Bytes of one process at its peak, of the GPU where it trains on one; None: not known."""
    disk: Range = NOTHING
    """Bytes that stay."""
    source: Source = "rule"
    note: str = ""
    """By what exactly it is known, or why it is not."""


class CostPlan(BaseModel):
    """The whole run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    experiment: str
    """The fingerprint of the experiment."""
    command: Literal["sweep", "ablate"] = "sweep"
    made: str
    """UTC, ISO 8601."""
    host: str
    cpus: float
    gpus: float
    """Of the machine that the plan is for."""
    probed_seconds: float
    """What the probes took; 0: none were needed."""
    parts: tuple[PlannedPart, ...]
    remarks: tuple[str, ...] = ()
    """What could not be probed, and what the figures do not hold."""

    @property
    def seconds(self) -> Range:
        """Wall time of all parts that are known."""
        return total(part.seconds for part in self.parts)

    @property
    def trials(self) -> int:
        """Of all searches."""
        return sum(part.units for part in self.parts if part.stage in ("search", "tuning"))

    @property
    def cpu_hours(self) -> Range:
        """Of all parts."""
        return total(part.cpu_hours for part in self.parts)

    @property
    def gpu_hours(self) -> Range:
        """Of all parts."""
        return total(part.gpu_hours for part in self.parts)

    @property
    def disk(self) -> Range:
        """Bytes that stay of all parts."""
        return total(part.disk for part in self.parts)

    @property
    def memory(self) -> Range | None:
        """Bytes of all processes that run at once, at the stage that needs the most; None: not known."""
        held = [part.memory.times(part.at_once) for part in self.parts if part.memory is not None]
        if not held:
            return None
        return Range(**{end: max(getattr(one, end) for one in held) for end in ("low", "likely", "high")})

    @property
    def unknown(self) -> list[str]:
        """The parts whose time is not known, as `stage variant`."""
        return [f"{part.stage} {part.variant}".rstrip() for part in self.parts if part.seconds is None]

    def save(self, path: Path) -> None:
        """Write it whole or not at all. OSError where that can't be done."""
        write_whole(path, self.model_dump_json(indent=1), wait=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; InputError where it is something else."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(
                f"{path} holds no plan ({str(error).splitlines()[0]}). Remove it; `orchestrate plan` writes one."
            ) from None


def total(ranges: Iterable[Range | None]) -> Range:
    """The sum of those that are known."""
    whole = NOTHING
    for one in ranges:
        whole = whole if one is None else whole.plus(one)
    return whole

"""What an ablation compares, as it stands in a run's folder: its variants, and which cells they are."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from trainables.errors import InputError
from trainables.files import write_whole

Design = Literal["one_factor", "factorial", "named"]


class AblatedVariant(BaseModel):
    """One row of the table: the baseline, or what differs from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """As tables print it."""
    changes: dict[str, Any]
    """What the experiment sets otherwise than the baseline has it, by factor; empty for the baseline."""
    family: str
    config: dict[str, Any]
    strategy: str | None
    """Detection: the threshold strategy."""
    cell: str
    """The `cell` of its records, with every seed; whose no record has where no trial of its tuning gave a result."""
    folder: str
    """The `variant` of records and the folder of models where this ablation runs it. Where a sweep or an earlier
    ablation had evaluated the cell, its records have another."""
    trials: int
    """Of the search that chose its configuration, which for a row that inherits is the baseline's; 0: given."""


class AblationPlan(BaseModel):
    """The whole ablation, once its configurations are known. The first variant is the baseline."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    baseline: str
    """The name of the variant of `families` that the baseline's configuration comes from."""
    design: Design
    factors: dict[str, list[Any]]
    """Levels by factor, as the experiment has them; empty for a named list."""
    tuned: int | None
    """Trials that each variant but the baseline was tuned again with; None: they inherit the baseline's values."""
    seeds: tuple[int, ...]
    variants: tuple[AblatedVariant, ...]
    removed: tuple[AblatedVariant, ...] = ()
    """What earlier ablations of this run compared and this one leaves out: they were looked at, and count as tests."""

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_whole(path, self.model_dump_json(indent=2), wait=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; InputError where it is something else."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(
                f"{path} holds no ablation ({str(error).splitlines()[0]}). `orchestrate ablate` writes it anew."
            ) from None

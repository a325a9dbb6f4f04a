"""Which trial a search ended with, where its best one had to beat the family's default configuration."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from trainables.errors import InputError
from trainables.files import write_whole


class Choice(BaseModel):
    """What was chosen from the trials of one search, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    metric: str
    """On validation."""
    default: int
    """The trial of the default configuration."""
    best: int
    """The trial with the best figure, which may be the same."""
    chosen: int
    """One of these two: the one that is evaluated."""
    compared: int
    """How many trials beside the default's the best is the best of."""
    sources: int
    """How many source pictures the validation part has."""
    lead: float | None = None
    """Of the best over the default, above 0 where it is better; None: the default has no figure."""
    error: float | None = None
    """The standard error of the lead; None: not known."""
    p: float | None = None
    """That chance gives such a lead, as the largest of `compared`; None: no test could be made."""
    why: str = ""
    """Why there was no test; empty where there was one."""

    @property
    def default_stayed(self) -> bool:
        """Whether the default configuration was taken though another trial is better."""
        return self.chosen == self.default != self.best

    def told(self, metric: str) -> str:
        """What was found, as a clause; `metric`: its name as prose has it."""
        if self.best == self.default:
            return f"the default configuration, trial {self.default}, is the best of all on validation and was taken"
        taken = "the default was kept" if self.default_stayed else "the best was taken"
        led = f"trial {self.best} leads the default configuration, trial {self.default}"
        if self.lead is not None:
            led = f"{led}, by {self.lead:.4f} in {metric} on validation"
        if self.p is None or self.error is None:
            return f"{led}, but no test could be made ({self.why}): {taken}"
        p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
        found = "which chance may explain" if self.default_stayed else "more than chance explains"
        many = f"as the largest of {self.compared} leads" if self.compared > 1 else "as the one lead"
        return f"{led} (standard error {self.error:.4f}; {p} {many}, {self.sources} source pictures), {found}: {taken}"

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_whole(path, self.model_dump_json(indent=2), wait=False)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read what `save` wrote; None where there is no such file. InputError where it is something else."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise InputError(
                f"{path} does not say which trial was chosen ({str(error).splitlines()[0]}). Remove it: going on with "
                "the run writes it anew."
            ) from None

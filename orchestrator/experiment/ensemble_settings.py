"""What an experiment's `ensembles` say: variants, or the seeds of one, whose scores are judged together."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from orchestrator.experiment.value_types import VARIANT_NAME


class Ensemble(BaseModel):
    """Evaluated models that answer together, by the mean of their scores. Nothing is trained for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=VARIANT_NAME, description="Its name in tables.")
    of: tuple[str, ...] = Field(min_length=1, description="The variants of `families` whose models it is made of.")
    over: Literal["variants", "seeds"] = Field(
        default="variants",
        description="variants: for each seed the variants' models with that seed, so that it has a row a seed as they "
        "do; seeds: all models of these variants with all seeds as one, which has one row and no repeats.",
    )
    weights: Literal["uniform", "validation"] = Field(
        default="uniform",
        description="uniform: the plain mean; validation: weights that are fitted to the validation part, by log loss, "
        "or in detection by greedy selection, which needs known anomalies there.",
    )

    @field_validator("of", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """One variant alone, or names with commas between, as a list."""
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    def seeds(self, seeds: Sequence[int]) -> tuple[int, ...]:
        """Of its rows, where the experiment has these: one whose members are of all seeds has the first one's name."""
        return tuple(seeds[:1] if self.over == "seeds" else seeds)

    def members(self, seed: int, seeds: Sequence[int]) -> list[tuple[str, int]]:
        """The variant and seed of each model that its row of that seed is made of."""
        return [(variant, each) for variant in self.of for each in (seeds if self.over == "seeds" else [seed])]

    @property
    def text(self) -> str:
        """What it is, for a line of text."""
        over = ", all seeds as one" if self.over == "seeds" else ", seed by seed"
        fitted = ", weights fitted to validation" if self.weights == "validation" else ""
        return f"{' + '.join(self.of)}{over}{fitted}"


def check_entries(ensembles: Sequence[Ensemble], variants: Sequence[str], seeds: Sequence[int]) -> None:
    """ValueError where an ensemble does not fit the experiment's variants and seeds."""
    names = [*variants, *(one.name for one in ensembles)]
    twice = sorted({one.name for one in ensembles if names.count(one.name) > 1})
    if twice:
        whose = "a variant has that name" if twice[0] in variants else "two ensembles have that name"
        raise ValueError(f"ensembles: {twice[0]!r} can't be the name of an ensemble, {whose}; give it another")
    for one in ensembles:
        place = f"ensembles.{one.name}"
        unknown = [name for name in one.of if name not in variants]
        if unknown:
            raise ValueError(
                f"{place}.of names {unknown[0]!r}; it must name variants of `families`: {', '.join(variants)}"
            )
        again = sorted({name for name in one.of if one.of.count(name) > 1})
        if again:
            raise ValueError(f"{place}.of names {again[0]!r} twice; name each variant once")
        if one.over == "variants" and len(one.of) < 2:
            raise ValueError(
                f"{place}.of names one variant, {one.of[0]!r}; name two or more, or set over: seeds for the mean over "
                "its seeds"
            )
        if len(one.members(seeds[0], seeds)) < 2:
            raise ValueError(
                f"{place} would have one member, {one.of[0]!r} with the only seed, {seeds[0]}; add seeds, or a variant"
            )

"""What an experiment's `ablation` says: one configuration, and what is changed of it."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from orchestrator.artifacts.ablation_plan import Design
from orchestrator.experiment.value_types import Work
from orchestrator.families import family_name

RUN_KEYS = ("threshold", "size", "epochs")
"""What may be changed beside the keys of a family's configuration: the threshold strategy, and the variant's own."""
MOST_CELLS = 1_000


class NamedChange(BaseModel):
    """One row of a named list: several keys at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=200, description="As tables print it.")
    family: str | None = Field(
        default=None,
        description="Another family, with what is in `set` and its own defaults; unset: the baseline's, changed.",
    )
    set: dict[str, Any] = Field(
        default_factory=dict,
        description="Keys that differ from the baseline: the family's, threshold, size, epochs.",
    )

    @field_validator("family")
    @classmethod
    def _known(cls, family: str | None) -> str | None:
        return None if family is None else family_name(family)


class Ablation(BaseModel):
    """A baseline, and the variants that differ from it. None of it changes what a sweep does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    baseline: str = Field(default="", description="A variant of `families`; unset: the experiment's baseline.")
    baseline_label: str = Field(
        default="", max_length=200, description="The baseline's name in the table; unset: that of the variant."
    )
    config: dict[str, Any] | None = Field(
        default=None,
        description="The baseline's configuration: these keys over the variant's `fixed`, the family's defaults for "
        "the rest, and nothing is searched. Unset: the best trial of the variant's search.",
    )
    design: Design = Field(
        default="one_factor",
        description="one_factor: one key at a time differs from the baseline; factorial: all combinations of levels; "
        "named: the list in `variants`.",
    )
    factors: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="Levels by key, such as input: [rgb, rgbd]. Keys are the family's, threshold, size and epochs.",
    )
    variants: tuple[NamedChange, ...] = Field(default=(), description="The rows of the design `named`.")
    tune: Work | None = Field(
        default=None,
        description="Search each variant again with so many trials, the keys of the ablation fixed; unset: all other "
        "keys are inherited from the baseline.",
    )

    @model_validator(mode="after")
    def _design_fits(self) -> Self:
        given, other = ("variants", "factors") if self.design == "named" else ("factors", "variants")
        if getattr(self, other):
            raise ValueError(f"`{other}` does not go with design {self.design}, which takes `{given}`; leave one out")
        if not getattr(self, given):
            raise ValueError(f"design {self.design} needs `{given}`, and there are none")
        for factor, levels in self.factors.items():
            if not levels:
                raise ValueError(f"factors.{factor} is empty; give its levels, such as {factor}: [a, b]")
            if len(levels) == 1:
                raise ValueError(
                    f"factors.{factor} has one level, {levels[0]!r}; give two or more, or use design: named, where a "
                    "variant may set one key"
                )
            texts = Counter(json.dumps(level, sort_keys=True, default=str) for level in levels)
            if len(texts) < len(levels):
                twice = json.loads(texts.most_common(1)[0][0])
                raise ValueError(f"factors.{factor} holds the level {twice!r} twice; keep one")
        for row in self.variants:
            if not row.set and row.family is None:
                raise ValueError(f"variants.{row.name} changes nothing; give `set` one key or more")
        both = sorted(set(self.factors) & set(self.config or {}))
        if both:
            raise ValueError(
                f"{', '.join(both)} stands in both `config` and `factors`; leave it out of `config`. The baseline has "
                "what the variant's `fixed` says, else the family's default"
            )
        return self

    def names(self, variants: tuple[str, ...], baseline: str) -> Iterator[str]:
        """The rows' names that the file gives; ValueError where the baseline is none of `variants`."""
        wanted = self.baseline or baseline
        if wanted not in variants:
            raise ValueError(
                f"ablation.baseline is {wanted!r}; it must be the name of a variant: {', '.join(variants)}"
            )
        yield self.baseline_label or wanted
        yield from (row.name for row in self.variants)

    def check(self, variants: tuple[str, ...], baseline: str, seeds: int) -> None:
        """ValueError where it does not fit the experiment's variants, or is more work than anyone wants."""
        names = list(self.names(variants, baseline))
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"ablation: {twice[0]!r} is the name of two rows; names must differ, the baseline's too")
        cells = self.most_rows * seeds
        if cells > MOST_CELLS:
            raise ValueError(
                f"ablation: {self.most_rows:,} variants x {seeds} seeds = {cells:,} cells, and at most {MOST_CELLS:,} "
                "are allowed; take fewer factors or levels, or design: one_factor"
            )

    @property
    def most_rows(self) -> int:
        """The rows of the table with the baseline, where no level is the baseline's own."""
        lengths = [len(levels) for levels in self.factors.values()]
        if self.design == "factorial":
            return 1 + math.prod(lengths)
        return 1 + (len(self.variants) if self.design == "named" else sum(lengths))


def setting_text(changes: Mapping[str, Any]) -> str:
    """Keys and values as a row's name says them: `input: rgb, layers: 2,3`."""
    return ", ".join(f"{key}: {_text(value)}" for key, value in changes.items())


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(_text(each) for each in value)
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)

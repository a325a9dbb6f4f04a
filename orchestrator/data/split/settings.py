"""How a data set is to be divided into train, validation and test."""

import re
from typing import Annotated, Literal, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, Strict, StrictInt, field_validator, model_validator

LARGEST_SEED = 2**32 - 1
"""What NumPy and scikit-learn take."""
MOST_REPEATS = 1_000
NearDuplicates = Literal["count", "group"]
NEAR_DUPLICATES: tuple[NearDuplicates, ...] = get_args(NearDuplicates)
Share = Annotated[float, Strict()]
"""`true` and texts are none."""


class SplitSettings(BaseModel):
    """How large each part is, and the seed that divides. Parts that the user's folders supply stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: Share = Field(default=0.7, gt=0, lt=1, description="The share of each class that trains.")
    validation: Share = Field(default=0.15, gt=0, lt=1, description="The share that chooses epochs and settings.")
    test: Share = Field(default=0.15, gt=0, lt=1, description="The share that only the final evaluation reads.")
    seed: StrictInt = Field(
        default=0, ge=0, le=LARGEST_SEED, description="The seed of the division; never that of a training."
    )

    anomalies_to_validation: Share = Field(
        default=0,
        ge=0,
        lt=1,
        description="Detection: the share of the test anomalies, by whole source pictures, that moves to validation.",
    )
    group: str | None = Field(
        default=None,
        description="A regular expression with one group, which gives the source picture from a file's stem; patches "
        r"of one source picture stay in one part. Such as ^(.*)_\d+_\d+$",
    )
    near_duplicates: NearDuplicates = Field(
        default="count",
        description="Pictures or series that differ by another compression, a move of one pixel or a little light: "
        "count (those in different parts are counted and shown), or group (they stay in one part, as patches of one "
        "source picture do).",
    )
    train_limit: StrictInt | None = Field(
        default=None, ge=2, description="At most so many training pictures, drawn at random; unset: all."
    )
    repeats: StrictInt = Field(
        default=1,
        ge=1,
        le=MOST_REPEATS,
        description="How often the data are divided, each time by another seed: figures are then over several training "
        "sets. More may be asked for later.",
    )
    folds: StrictInt | None = Field(
        default=None,
        ge=2,
        le=MOST_REPEATS,
        description="Cross-validation: each repeat divides the data into so many folds, each of which is the test part "
        "of one split; train and validation share the rest in their proportion.",
    )
    number: StrictInt | None = Field(
        default=None,
        ge=1,
        description="Only this one of the repeats × folds splits, from 1; unset: one after the other.",
    )

    @property
    def several(self) -> int:
        """How many splits there are to be."""
        return self.repeats * (self.folds or 1)

    @property
    def numbers(self) -> range:
        """Which of them a run has."""
        return range(1, self.several + 1) if self.number is None else range(self.number, self.number + 1)

    @property
    def repeat_seed(self) -> int:
        """The seed that divides this repeat: `seed` of the first, one that follows from both of every other."""
        repeat = (self._place - 1) // (self.folds or 1)
        if not repeat:
            return self.seed
        return int(np.random.SeedSequence([self.seed, repeat]).generate_state(1)[0])

    @property
    def fold(self) -> int | None:
        """Which fold is the test part, from 0; None where there are no folds."""
        return None if self.folds is None else (self._place - 1) % self.folds

    @property
    def _place(self) -> int:
        return self.number or 1

    @property
    def grouped(self) -> bool:
        """Whether near-duplicates are kept in one part."""
        return self.near_duplicates == "group"

    @property
    def as_one(self) -> str:
        """Where near-duplicates count as one picture: to be said where pictures are too few."""
        return " (near-duplicates count as one: data.split.near_duplicates)" if self.grouped else ""

    @property
    def kin(self) -> str:
        """What stays in one part, in the plural."""
        more = [
            *(["patches of the same source pictures"] if self.group is not None else []),
            *(["near-duplicates"] if self.grouped else []),
        ]
        return f"copies, or {' or '.join(more)}," if more else "copies"

    @property
    def shared(self) -> str:
        """What pictures that stay in one part have in common."""
        more = [
            *(["a source picture"] if self.group is not None else []),
            *(["a group of near-duplicates"] if self.grouped else []),
        ]
        return " or ".join(more) or "their content"

    @field_validator("group")
    @classmethod
    def _one_group(cls, group: str | None) -> str | None:
        if group is not None:
            try:
                groups = re.compile(group).groups
            except re.error as error:
                raise ValueError(f"group is no regular expression: {error}") from None
            if groups != 1:
                raise ValueError(
                    f"group must hold one group in parentheses, such as ^(.*)_\\d+$, and it holds {groups}"
                )
        return group

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"train, validation and test are {self.train:g}, {self.validation:g} and {self.test:g}, "
                f"which makes {total:g}; the three must make 1"
            )
        if self.number is not None and self.number > self.several:
            raise ValueError(f"number is {self.number}, and repeats and folds make {self.several} splits")
        return self

"""How a data set is to be divided into train, validation and test."""

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, Strict, StrictInt, field_validator, model_validator

LARGEST_SEED = 2**32 - 1
"""What NumPy and scikit-learn take."""
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
        return self

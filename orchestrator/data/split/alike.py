"""What of a division is alike in several parts: how many pictures, some pairs to show, and what to say of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.layouts.listing import PARTS
from orchestrator.data.split.near_duplicates import Packed, partners_elsewhere

SHOWN = 6
"""Pairs that are kept to be shown."""


class Pair(NamedTuple):
    """Two near-duplicates in different parts."""

    one: str
    """A picture's path; where it can be, of validation or test."""
    other: str
    """Its partner's, in another part."""
    error: float
    """What is left between them: grey levels RMS, of series standard deviations."""


class Alike(NamedTuple):
    """Near-duplicates in different parts."""

    counts: dict[str, int]
    """Part -> how many of its pictures have one in another part; only parts that have any."""
    pairs: tuple[Pair, ...]
    """Some of them, from the nearest to the farthest."""

    @property
    def total(self) -> int:
        """Pictures with a near-duplicate in another part."""
        return sum(self.counts.values())


def alike_across(paths: Sequence[str], views: Packed, contents: NDArray[np.int64], numbers: NDArray[np.int64]) -> Alike:
    """The near-duplicates that a division (N,) of indexes into PARTS, negative for none, has put into several parts."""
    partners = partners_elsewhere(views, contents, numbers)
    found = np.flatnonzero(partners.rows >= 0)
    counts = {part: int(np.sum(numbers[found] == number)) for number, part in enumerate(PARTS)}
    # Those of train are the partners of the others, and stand first only where there are no others.
    asked = found[numbers[found] > 0] if (numbers[found] > 0).any() else found
    order = asked[np.argsort(partners.errors[asked], kind="stable")]
    once = order[np.sort(np.unique(np.sort([order, partners.rows[order]], axis=0), axis=1, return_index=True)[1])]
    chosen = once[np.unique(np.linspace(0, len(once) - 1, SHOWN).round().astype(np.int64))] if len(once) else once
    pairs = [Pair(paths[row], paths[partners.rows[row]], round(float(partners.errors[row]), 4)) for row in chosen]
    return Alike({part: count for part, count in counts.items() if count}, tuple(pairs))


def alike_remarks(alike: Alike, numbers: NDArray[np.int64], grouped: bool) -> list[str]:
    """What to say of near-duplicates that the division `numbers` (N,) has put into several parts.

    `grouped`: the rest of them is kept in one part each.
    """
    if not alike.total:
        return []
    sizes: dict[str, int] = {part: int(np.sum(numbers == number)) for number, part in enumerate(PARTS)}
    listed = ", ".join(f"{count} of {sizes[part]} in {part}" for part, count in reversed(alike.counts.items()))
    how = (
        "as the data's folders supply the parts"
        if grouped
        else "and data.split.near_duplicates: group keeps those on one side whose part the folders do not supply"
    )
    return [
        f"{alike.total} pictures have a near-duplicate in another part ({listed}), {how}: figures on validation and "
        "test are flattered by what was all but seen in training. A search may then climb by chance: "
        "objective.winner: beats_default keeps the default configuration unless a trial beats it by more."
    ]


def group_remarks(
    near: NDArray[np.int64], contents: NDArray[np.int64], numbers: NDArray[np.int64], expected: float
) -> list[str]:
    """What to say of near-duplicates that were kept together: `near` (N,) are their groups, `contents` those of copies.

    `numbers` (N,): the division; `expected`: how many pictures the smallest part that was cut was to hold.
    """
    sizes = np.bincount(near)
    different = np.bincount(near[np.unique(contents, return_index=True)[1]], minlength=len(sizes))
    groups = different > 1
    if not groups.any():
        return ["No two pictures are near-duplicates, so data.split.near_duplicates: group changes nothing."]
    largest = int(sizes[groups].max())
    remarks = [
        f"{int(sizes[groups].sum())} of {len(near)} pictures are near-duplicates, in {int(groups.sum())} groups of up "
        f"to {largest}; each group that the data's folders don't divide stays in one part "
        "(data.split.near_duplicates: group)."
    ]
    if largest > expected:
        parts = ", ".join(f"{part} {int(np.sum(numbers == number))}" for number, part in enumerate(PARTS))
        remarks.append(
            f"The largest group of near-duplicates holds {largest} pictures, where the smallest part that is cut was "
            f"to hold {expected:.0f}, so the shares may not come out as asked ({parts}). Frames of a video chain like "
            "that: data.split.group, with an expression for what was recorded at once, cuts them otherwise."
        )
    return remarks


def error_text(error: float, pictures: bool) -> str:
    """What is left between a pair, in words."""
    unit = "grey levels" if pictures else "standard deviations"
    return f"{error:.2g} {unit} RMS apart"

"""What is seen in the files that `inspect` looks at: pixels are decoded as far as a bound allows, and that is said."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.files.content_hashes import read_sources
from orchestrator.data.files.image_files import ImageError
from orchestrator.data.files.picture_layers import decode_full, planes_of
from orchestrator.data.files.sight import Sight, picture_sight
from orchestrator.data.layouts.listing import ListedFile, Listing
from orchestrator.data.split.alike import Alike, alike_across
from orchestrator.data.split.grouped_division import content_numbers
from orchestrator.data.split.near_duplicates import near_groups
from orchestrator.data.split.split import Split

MOST_FILES, MOST_PIXELS = 20_000, 10**9
"""What is decoded at most, in about a minute: 20,000 pictures of 224 x 224 pixels."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known of the content of N files."""

    names: tuple[str, ...]
    """(N,): of what is seen in each; empty where it was not looked at."""
    rows: NDArray[np.int64]
    """(n,): the files that were looked at."""
    views: NDArray[np.uint8]
    """(n, bytes): their views, by which near-duplicates are found."""

    @classmethod
    def of(cls, sights: Sequence[Sight | None]) -> "Seen":
        """`sights` (N,): None where a file was not looked at."""
        known = [(row, sight) for row, sight in enumerate(sights) if sight is not None]
        rows = np.array([row for row, _ in known], dtype=np.int64)
        views = np.stack([sight.views for _, sight in known]) if known else np.empty((0, 0), dtype=np.uint8)
        return cls(tuple("" if sight is None else sight.name for sight in sights), rows, views)

    @property
    def whole(self) -> NDArray[np.uint8] | None:
        """The views of all files; None where some were not looked at."""
        return self.views if len(self.rows) == len(self.names) else None

    def groups(self, content: Sequence[str]) -> NDArray[np.int64]:
        """The sizes of the groups of near-duplicates, copies among them, that show more than one content."""
        if len(self.rows) < 2:
            return np.empty(0, dtype=np.int64)
        contents = content_numbers(content, self.names)[self.rows]
        near = near_groups(self.views, contents)
        different = np.bincount(near[np.unique(contents, return_index=True)[1]])
        return np.bincount(near)[different > 1]

    def alike(self, content: Sequence[str], split: Split) -> Alike:
        """The near-duplicates that a split puts apart, among the files that were looked at."""
        contents = content_numbers(content, self.names)[self.rows]
        numbers = split.numbers()[self.rows]
        return alike_across([split.paths[row] for row in self.rows], self.views, contents, numbers)


def look_into_pictures(
    listing: Listing, files: Sequence[ListedFile], sizes: Sequence[tuple[int, int]], bits: int | None, upright: bool
) -> list[Sight | None]:
    """What is seen in each of the files, evenly spread ones where they are too many; None of the others.

    `sizes`: their (height, width).
    """
    planes = planes_of(files)
    share = min(1.0, MOST_FILES / len(files), MOST_PIXELS / sum(height * width for height, width in sizes))
    chosen = set(np.linspace(0, len(files) - 1, max(1, int(share * len(files)))).astype(int).tolist())
    sights: list[Sight | None] = []
    for row, file in enumerate(files):
        try:
            sources = read_sources(str(listing.root), file) if row in chosen else None
            full = None if sources is None else decode_full(sources.picture, sources.depth, planes, bits, upright)
        except (OSError, ImageError, MemoryError):
            full = None  # told where it is drawn
        sights.append(None if full is None else picture_sight(full))
    return sights


def bound_remarks(seen: Seen, plots: bool) -> list[str]:
    """What to say where not all were looked at."""
    left = len(seen.names) - len(seen.rows)
    if plots or not left:
        return []
    return [
        f"The pixels of {len(seen.rows)} of {len(seen.names)} pictures were compared, evenly spread; the other {left} "
        "(too many, or not to be decoded) by their bytes alone. A run compares them all."
    ]

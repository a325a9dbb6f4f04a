"""The samples of several stores as those of one, still on the disk."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.interface import Samples


class Joined:
    """Arrays of one shape but for their first side, one behind the other; rows are read when they are asked for."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._parts[0].shape[1:])

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """What lies at `rows` (any shape of row numbers), copied; IndexError where there is no such row."""
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"There are {len(self)} rows, and {rows.min()} to {rows.max()} are asked for.")
        flat, read = rows.ravel(), None
        for part, start, end in zip(self._parts, self._starts, self._starts[1:], strict=False):
            here = (flat >= start) & (flat < end)
            if here.any() or read is None:
                found = part[flat[here] - start]
                read = np.empty((len(flat), *found.shape[1:]), dtype=found.dtype) if read is None else read
                read[here] = found
        assert read is not None
        return read.reshape(*rows.shape, *read.shape[1:])


def joined(first: Samples, *others: Samples) -> Samples:
    """All of them, in this order. Masks are left out: what is joined is trained on."""
    every = (first, *(one for one in others if len(one)))
    if len(every) == 1:
        return first
    assert all(one.classes == first.classes for one in every)
    depths = [one.depth for one in every]
    return Samples(
        pictures=Joined([one.pictures for one in every]),
        labels=np.concatenate([one.labels for one in every]),
        classes=first.classes,
        paths=tuple(path for one in every for path in one.paths),
        depth=None if any(depth is None for depth in depths) else Joined(depths),
        kinds=tuple(kind for one in every for kind in one.kinds),
        groups=tuple(group for one in every for group in one.groups or one.paths),
    )

"""A split: which picture trains, which validates, which tests; kept as data, by relative paths."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.layouts.listing import PARTS, Part
from orchestrator.data.split.alike import Alike, Pair
from trainables.errors import InputError
from trainables.files import json_sha256, write_whole

FORMAT = 1
LEFT_OUT = -1
"""Where PARTS has the number of a part: a picture that is in none."""


@dataclass(frozen=True, eq=False)
class Split:
    """Three parts of one data set. A picture may be in none of them."""

    paths: tuple[str, ...]
    """(N,): every picture's relative path, in the store's order."""
    train: NDArray[np.int64]
    """Rows of the store, ascending; so are the other two."""
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    data: str
    """The fingerprint of the data."""
    fingerprint: str
    """The hash of the data's fingerprint and of each picture's part."""
    remarks: tuple[str, ...]
    """What the user should know of it, one sentence each."""
    duplicates: int = 0
    """Pictures beyond the first of their content."""
    by_bytes: int | None = None
    """Those of them beyond the first of their bytes; None where only bytes were compared."""
    conflicting: int = 0
    """Pictures whose content stands under several class names."""
    across: int = 0
    """Pictures whose content stands in several parts, as the user supplied them."""
    groups: tuple[str, ...] = ()
    """(N,): the source picture of each: what patches of one picture, copies and, where they are grouped,
    near-duplicates share."""
    alike: Alike | None = None
    """Near-duplicates in different parts; None where none were looked for."""
    tested: float | None = None
    """The share of the divided pictures that is in test, for detection the larger one of normal pictures and anomalies;
    None where an older release saved it."""
    said: tuple[str, ...] | None = None
    """Those of the remarks that are of the division itself; None where an older release saved it."""

    @property
    def left_out(self) -> int:
        """Pictures in none of the three parts."""
        return len(self.paths) - len(self.train) - len(self.validation) - len(self.test)

    def part_names(self) -> list[Part | None]:
        """(N,): the part of each picture, None where it is in none."""
        return [part_of(number) for number in self.numbers().tolist()]

    def save(self, path: Path) -> None:
        """Write it as JSON, by relative paths, whole or not at all."""
        rows = list(zip(self.paths, self.part_names(), strict=True))
        groups = zip(self.paths, self.groups or self.paths, strict=True)
        saved = {
            "format": FORMAT,
            "data": self.data,
            "fingerprint": self.fingerprint,
            "remarks": self.remarks,
            "said": self.said,
            "duplicates": self.duplicates,
            "by_bytes": self.by_bytes,
            "conflicting": self.conflicting,
            "across": self.across,
            "tested": self.tested,
            "near_duplicates": None if self.alike is None else self.alike._asdict(),
            "pictures": rows,
            # Mostly each picture is its own group, which need not be said 100,000 times.
            "groups": {path: group for path, group in groups if group != path},
        }
        write_whole(path, json.dumps(saved, ensure_ascii=True, indent=1), wait=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. InputError where it is something else, or was changed since."""
        try:
            read = json.loads(path.read_bytes())
            paths = tuple(name for name, _ in read["pictures"])
            parts = [part for _, part in read["pictures"]]
            numbers = np.array([LEFT_OUT if part is None else PARTS.index(part) for part in parts], dtype=np.int64)
            groups = read.get("groups", {})
            split = cls(
                paths,
                *rows_of(numbers),
                data=read["data"],
                fingerprint=fingerprint(read["data"], paths, numbers),
                remarks=tuple(read["remarks"]),
                duplicates=read["duplicates"],
                by_bytes=read.get("by_bytes"),
                conflicting=read["conflicting"],
                across=read["across"],
                groups=tuple(groups.get(path, path) for path in paths),
                tested=None if read.get("tested") is None else float(read["tested"]),
                alike=_alike(read.get("near_duplicates")),
                said=None if read.get("said") is None else tuple(read["said"]),
            )
            texts = (split.data, *split.paths, *split.groups, *split.remarks, *(split.said or ()))
            counts = (split.duplicates, split.conflicting, split.across, split.by_bytes or 0)
            if not all(isinstance(one, str) for one in texts) or not all(isinstance(one, int) for one in counts):
                raise ValueError("a name, a remark or a count in it is something else")
            changed = split.fingerprint != read["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"The split {str(path)!r} can't be read: {str(error).rstrip('.')}. Remove it to have it made anew."
            ) from error
        if changed:
            raise InputError(
                f"The split {str(path)!r} was changed after it was written: its fingerprint is another. "
                "Put the old file back, or remove it to have it made anew."
            )
        return split

    def numbers(self) -> NDArray[np.int64]:
        """(N,): the part of each picture, as its index in PARTS, or LEFT_OUT."""
        numbers = np.full(len(self.paths), LEFT_OUT, dtype=np.int64)
        for number, rows in enumerate((self.train, self.validation, self.test)):
            numbers[rows] = number
        return numbers


def _alike(read: Any) -> Alike | None:
    """What `save` wrote of near-duplicates; ValueError or TypeError where it is something else."""
    if read is None:
        return None
    counts = {str(part): int(count) for part, count in dict(read["counts"]).items()}
    return Alike(counts, tuple(Pair(str(one), str(other), float(error)) for one, other, error in read["pairs"]))


def fingerprint(data: str, paths: Sequence[str], numbers: NDArray[np.int64]) -> str:
    """The hash of a data fingerprint and of each path's part (its index in PARTS, or LEFT_OUT)."""
    rows = [data, *([path, part_of(number)] for path, number in zip(paths, numbers.tolist(), strict=True))]
    return json_sha256(rows)[:32]


def part_of(number: int) -> Part | None:
    """The part of that number; None for LEFT_OUT."""
    return None if number == LEFT_OUT else PARTS[number]


def rows_of(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The rows of each part, ascending."""
    train, validation, test = (np.flatnonzero(numbers == number) for number in range(len(PARTS)))
    return train, validation, test

"""Which picture trains, which validates, which tests: stratified by class, seeded, exact duplicates together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.data.layouts import PARTS, Part
from orchestrator.data.shards import write_whole
from trainables.errors import InputError

FORMAT = 1


class SplitSettings(BaseModel):
    """How large each part is, and the seed that divides. Parts that the user's folders supply stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: float = Field(default=0.7, gt=0, lt=1, description="The share of each class that trains.")
    validation: float = Field(default=0.15, gt=0, lt=1, description="The share that chooses epochs and settings.")
    test: float = Field(default=0.15, gt=0, lt=1, description="The share that only the final evaluation reads.")
    seed: int = Field(default=0, ge=0, description="The seed of the division; never that of a training.")

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"train, validation and test are {self.train:g}, {self.validation:g} and {self.test:g}, "
                f"which makes {total:g}; the three must make 1"
            )
        return self


class Divisible(Protocol):
    """What of a store a split needs."""

    @property
    def paths(self) -> Sequence[str]: ...
    @property
    def labels(self) -> NDArray[np.int64]: ...
    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def parts(self) -> Sequence[Part | None]: ...
    @property
    def content(self) -> Sequence[str]: ...
    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Split:
    """Three parts of one data set."""

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
    conflicting: int = 0
    """Pictures whose content stands under several class names."""
    across: int = 0
    """Pictures whose content stands in several parts, as the user supplied them."""

    def save(self, path: Path) -> None:
        """Write it as JSON, by relative paths, whole or not at all."""
        rows: list[tuple[str, Part]] = []
        numbers = self._numbers()
        for name, number in zip(self.paths, numbers.tolist(), strict=True):
            rows.append((name, PARTS[number]))
        saved = {
            "format": FORMAT,
            "data": self.data,
            "fingerprint": self.fingerprint,
            "remarks": self.remarks,
            "duplicates": self.duplicates,
            "conflicting": self.conflicting,
            "across": self.across,
            "pictures": rows,
        }
        write_whole(path, [json.dumps(saved, ensure_ascii=True, indent=1).encode("ascii")])

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. InputError where it is something else, or was changed since."""
        try:
            read = json.loads(path.read_bytes())
            paths = tuple(name for name, _ in read["pictures"])
            numbers = np.array([PARTS.index(part) for _, part in read["pictures"]], dtype=np.int64)
            split = cls(
                paths,
                *_rows(numbers),
                data=read["data"],
                fingerprint=fingerprint(read["data"], paths, numbers),
                remarks=tuple(read["remarks"]),
                duplicates=read["duplicates"],
                conflicting=read["conflicting"],
                across=read["across"],
            )
            changed = split.fingerprint != read["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"The split {str(path)!r} can't be read: {error}. Remove it to have it made anew."
            ) from error
        if changed:
            raise InputError(
                f"The split {str(path)!r} was changed after it was written: its fingerprint is another. "
                "Put the old file back, or remove it to have it made anew."
            )
        return split

    def _numbers(self) -> NDArray[np.int64]:
        numbers = np.empty(len(self.paths), dtype=np.int64)
        for number, rows in enumerate((self.train, self.validation, self.test)):
            numbers[rows] = number
        return numbers


def make_split(store: Divisible, settings: SplitSettings) -> Split:
    """Divide a store's pictures into train, validation and test.

    Pictures with the same bytes fall on one side. Parts that the folders supply are kept as they are, and those they
    don't supply are cut from train, in the proportion of the settings. The same data and settings give the same split.
    InputError where a class has no picture, or too few different ones, for a part.
    """
    supplied = {part for part in store.parts if part is not None}
    assert not supplied or None not in store.parts
    if supplied and "train" not in supplied:
        raise InputError(
            f"The data's folders give {' and '.join(sorted(supplied))}, and no train. Add a folder train beside them, "
            "or put all class folders side by side to have all three parts cut."
        )
    shares = {part: getattr(settings, part) for part in PARTS if part == "train" or part not in supplied}
    numbers = np.array([PARTS.index(part or "train") for part in store.parts], dtype=np.int64)
    _, groups = np.unique(np.array(store.content), return_inverse=True)
    labels = np.asarray(store.labels)
    if len(shares) > 1:
        strata = _strata(groups, labels, len(store.classes))
        generator = np.random.default_rng(settings.seed)
        for label, name in enumerate(store.classes):
            rows = np.flatnonzero((numbers == 0) & (strata[groups] == label))
            numbers[rows] = _divided(rows, groups, shares, name, generator)
    _refuse_empty(numbers, labels, store.classes, supplied)
    duplicates = len(groups) - len(np.unique(groups))
    conflicting, across = _mixed(groups, labels), _mixed(groups, numbers)
    remarks = []
    if duplicates:
        remarks.append(
            f"{duplicates} of {len(groups)} pictures repeat another one's bytes; "
            + ("those of one content stay in one part." if not across else "see the next remark.")
        )
    if across:
        remarks.append(
            f"{across} pictures have a copy in another part, as the data's folders supply them: figures on validation "
            "and test are flattered by what was seen in training."
        )
    if conflicting:
        remarks.append(
            f"{conflicting} pictures with the same bytes stand under different classes, so no model can have all right."
        )
    return Split(
        tuple(store.paths),
        *_rows(numbers),
        data=store.fingerprint,
        fingerprint=fingerprint(store.fingerprint, store.paths, numbers),
        remarks=tuple(remarks),
        duplicates=duplicates,
        conflicting=conflicting,
        across=across,
    )


def fingerprint(data: str, paths: Sequence[str], numbers: NDArray[np.int64]) -> str:
    """The hash of a data fingerprint and of each path's part (its index in PARTS)."""
    rows = [data, *([path, PARTS[number]] for path, number in zip(paths, numbers.tolist(), strict=True))]
    return sha256(json.dumps(rows, ensure_ascii=True).encode("ascii")).hexdigest()[:32]


def _rows(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    train, validation, test = (np.flatnonzero(numbers == number) for number in range(len(PARTS)))
    return train, validation, test


def _strata(groups: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Each group's class: that of most of its pictures, the first of equals."""
    counts = np.zeros((int(groups.max()) + 1, classes), dtype=np.int64)
    np.add.at(counts, (groups, labels), 1)
    strata: NDArray[np.int64] = counts.argmax(axis=1)
    return strata


def _divided(
    rows: NDArray[np.int64],
    groups: NDArray[np.int64],
    shares: dict[Part, float],
    name: str,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """The part (its index in PARTS) of each of one class's rows."""
    present, position, sizes = np.unique(groups[rows], return_inverse=True, return_counts=True)
    parts = list(shares)
    if len(present) < len(parts):
        raise InputError(
            f"Class {name!r} has too few different pictures to divide: {len(present)}, and each of {', '.join(parts)} "
            f"needs one, which makes {len(parts)}. Add files to this class, or leave its folder out."
        )
    wanted = _counts(len(rows), [shares[part] for part in parts])
    # Large groups first, in a drawn order among equals: each goes where most is lacking, so that the shares come out.
    order = generator.permutation(len(present))
    order = order[np.argsort(-sizes[order], kind="stable")]
    chosen = np.empty(len(present), dtype=np.int64)
    empty = set(range(len(parts)))
    for step, group in enumerate(order):
        candidates = empty if len(empty) == len(present) - step else range(len(parts))
        part = max(candidates, key=lambda one: (wanted[one], -one))
        chosen[group] = part
        wanted[part] -= int(sizes[group])
        empty.discard(part)
    return np.array([PARTS.index(parts[part]) for part in chosen[position]], dtype=np.int64)


def _counts(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers in the proportion of the shares that make `total`, by largest remainder, each at least one."""
    exact = np.array(shares) / sum(shares) * total
    counts = np.maximum(1, np.floor(exact).astype(np.int64))
    while counts.sum() != total:
        step = 1 if counts.sum() < total else -1
        gaps = np.where((counts > 1) | (step > 0), step * (exact - counts), -np.inf)
        counts[int(gaps.argmax())] += step
    return [int(count) for count in counts]


def _refuse_empty(
    numbers: NDArray[np.int64], labels: NDArray[np.int64], classes: Sequence[str], supplied: set[Part]
) -> None:
    for label, name in enumerate(classes):
        for number, part in enumerate(PARTS):
            if not np.any((labels == label) & (numbers == number)):
                total = int(np.sum(labels == label))
                raise InputError(
                    f"Class {name!r} has {total} pictures and none of them is in {part}; each class needs at least one "
                    "in each part. "
                    + (
                        f"Add some to the folder {part}, or leave the class out of all parts."
                        if part in supplied
                        else "Add files to this class, or leave its folder out."
                    )
                )


def _mixed(groups: NDArray[np.int64], values: NDArray[np.int64]) -> int:
    """How many pictures belong to a group in which `values` differ."""
    if len(groups) == 0:
        return 0
    lowest = np.full(int(groups.max()) + 1, np.iinfo(np.int64).max)
    highest = np.full(int(groups.max()) + 1, -1)
    np.minimum.at(lowest, groups, values)
    np.maximum.at(highest, groups, values)
    return int(np.sum((lowest != highest)[groups]))

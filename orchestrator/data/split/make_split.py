"""Which picture trains, which validates, which tests: stratified, seeded, duplicates and patches together."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.layouts.listing import PARTS, ListedFile, Part
from orchestrator.data.split.alike import alike_across, alike_remarks, group_remarks
from orchestrator.data.split.detection_division import DetectionDivision
from orchestrator.data.split.grouped_division import (
    content_numbers,
    counts_of,
    divided,
    folds_of,
    group_pictures,
    mixed,
    strata_of,
    why_few,
)
from orchestrator.data.split.near_duplicates import Packed, near_groups
from orchestrator.data.split.settings import SplitSettings
from orchestrator.data.split.split import LEFT_OUT, Split, fingerprint, rows_of
from trainables.errors import InputError

__all__ = ["Divisible", "Split", "SplitSettings", "UndrawnFiles", "make_split"]


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
    def sights(self) -> Sequence[str]: ...
    @property
    def views(self) -> Packed | None: ...
    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True, eq=False)
class UndrawnFiles:
    """Files of which there are no pictures yet, in the place of a store."""

    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    parts: tuple[Part | None, ...]
    content: tuple[str, ...]
    fingerprint: str = ""
    sights: tuple[str, ...] = ()
    """Names of what is seen in each, as far as it is known; see `Store.sights`."""
    views: Packed | None = None

    @classmethod
    def of(cls, files: Sequence[ListedFile], content: Sequence[str] | None = None) -> Self:
        """`content`: the hash of each file's; None: each counts as if it were its own."""
        classes = tuple(sorted({file.class_name for file in files}, key=os.fsencode))
        numbers = {name: number for number, name in enumerate(classes)}
        paths = tuple(file.path for file in files)
        labels = np.array([numbers[file.class_name] for file in files], dtype=np.int64)
        return cls(
            paths, labels, classes, tuple(file.part for file in files), paths if content is None else tuple(content)
        )


def make_split(store: Divisible, settings: SplitSettings, normal: str | None = None) -> Split:
    """Divide a store's pictures into train, validation and test; for detection, where `normal` names a class.

    Pictures with the same content, patches of one source picture (`settings.group`) and, where they are to be grouped
    (`settings.near_duplicates`), near-duplicates fall on one side. The content is what is seen, or, where the store
    does not know that, the files' bytes. Near-duplicates in different parts are counted. Parts that the folders supply
    are kept as they are, and those they don't supply are cut from train, in the proportion of the settings. Of repeated
    splits it is the one that the settings name; with folds, test is one of them, and train and validation share the
    rest in their proportion. For
    detection train holds normal pictures alone; anomalies without a part go to validation and test. The same data and
    settings give the same split.
    InputError where a class has no picture, or too few different ones, for a part, and where the folders supply what is
    to be divided repeatedly; for detection also where anomalies are in train, test lacks one side, or
    `anomalies_to_validation` can't be done.
    """
    supplied = {part for part in store.parts if part is not None}
    assert not supplied or None not in store.parts
    if supplied and "train" not in supplied:
        raise InputError(
            f"The data's folders give {' and '.join(sorted(supplied))}, and no train. Add a folder train beside them, "
            "or put all class folders side by side to have all three parts cut."
        )
    if supplied and settings.several > 1:
        key = "folds" if settings.folds else "repeats"
        raise InputError(
            f"data.split.{key}: the data's folders supply {' and '.join(part for part in PARTS if part in supplied)}, "
            "which stay as they are, so there is one split. Put all class folders side by side to have them divided "
            "repeatedly, or leave it out."
        )
    contents = content_numbers(store.content, store.sights)
    near = near_groups(store.views, contents) if settings.grouped and store.views is not None else contents
    groups = group_pictures(store.paths, near, settings.group)
    labels = np.asarray(store.labels)
    remarks: list[str] = []
    if normal is None:
        numbers, sides = _by_class(store, settings, groups.numbers), labels
    else:
        if normal not in store.classes:
            raise InputError(
                f"The normal class is {normal!r}, and the data have {', '.join(map(repr, store.classes))}. "
                "Choose one of these (data.normal)."
            )
        division = DetectionDivision(store.parts, labels, store.classes, normal, groups.numbers, settings)
        numbers, remarks = division.divide(), division.remarks
        sides = division.anomalous.astype(np.int64)
    if settings.train_limit is not None:
        remarks += _limit(numbers, labels, settings.train_limit, settings.repeat_seed)
    kept = numbers != LEFT_OUT
    duplicates = len(contents) - len(np.unique(contents))
    by_bytes = len(contents) - len(set(store.content)) if any(store.sights) else None
    conflicting = int(np.sum(mixed(contents, sides)))
    across = int(np.sum(mixed(contents[kept], numbers[kept])))
    if settings.group is not None:
        remarks += _group_remarks(groups.numbers[kept], numbers[kept], groups.unmatched)
    if near is not contents:
        remarks += group_remarks(near, contents, numbers, _smallest_cut(store, settings, labels, normal))
    alike = None if store.views is None else alike_across(store.paths, store.views, contents, numbers)
    remarks += [] if alike is None else alike_remarks(alike, numbers, settings.grouped)
    copies = _copy_remarks(len(contents), duplicates, by_bytes, across, conflicting, normal is not None)
    said = (*copies, *remarks)
    return Split(
        tuple(store.paths),
        *rows_of(numbers),
        data=store.fingerprint,
        fingerprint=fingerprint(store.fingerprint, store.paths, numbers),
        remarks=said,
        said=said,
        duplicates=duplicates,
        by_bytes=by_bytes,
        conflicting=conflicting,
        across=across,
        groups=groups.names,
        tested=_tested(numbers, np.zeros_like(sides) if normal is None else sides),
        alike=alike,
    )


def _tested(numbers: NDArray[np.int64], sides: NDArray[np.int64]) -> float:
    """The larger share of the two sides, where there are two, that is in test."""
    present = [numbers[(sides == side) & (numbers != LEFT_OUT)] for side in np.unique(sides)]
    return max(float((parts == PARTS.index("test")).mean()) for parts in present if len(parts))


def _smallest_cut(store: Divisible, settings: SplitSettings, labels: NDArray[np.int64], normal: str | None) -> float:
    """How many pictures the smallest part that is cut was to hold; of detection, of normal ones. Infinite: none is."""
    if set(PARTS) <= set(store.parts):
        return np.inf
    divided_rows = np.array([part in (None, "train") for part in store.parts])
    if normal is not None:
        divided_rows &= labels == list(store.classes).index(normal)
    shares = [settings.train, settings.validation, settings.test]
    return float(np.sum(divided_rows)) * min(shares) / sum(shares)


def _by_class(store: Divisible, settings: SplitSettings, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The part (its index in PARTS) of each picture, for classification: every class in every part."""
    if settings.anomalies_to_validation:
        raise InputError(
            "data.split.anomalies_to_validation is for detection, and here all classes are told apart. Leave it out."
        )
    supplied = {part for part in store.parts if part is not None}
    shares = {part: getattr(settings, part) for part in PARTS if part == "train" or part not in supplied}
    numbers = np.array([PARTS.index(part or "train") for part in store.parts], dtype=np.int64)
    labels = np.asarray(store.labels)
    if len(shares) > 1:
        strata = strata_of(groups, labels, len(store.classes))
        generator = np.random.default_rng(settings.repeat_seed)
        trained = numbers == 0
        if settings.folds is not None:
            folds = folds_of(np.arange(len(labels)), groups, strata, settings.folds, generator)
            _refuse_unfolded(labels, folds, store.classes, groups, settings)
            numbers[folds == settings.fold] = PARTS.index("test")
            del shares["test"]
            # The rest is divided with the fold's own draws, or the same pictures would validate in every fold.
            generator = np.random.default_rng([settings.repeat_seed, 2, settings.fold or 0])
        for label, name in enumerate(store.classes):
            rows = np.flatnonzero((numbers == 0) & (strata[groups] == label))
            why = why_few(np.flatnonzero(trained & (labels == label)), rows, groups, settings)
            numbers[rows] = divided(rows, groups, shares, name, generator, why=why, alike=settings.grouped)
    _refuse_empty(numbers, labels, store.classes, supplied)
    return numbers


def _refuse_unfolded(
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    classes: Sequence[str],
    groups: NDArray[np.int64],
    settings: SplitSettings,
) -> None:
    """InputError where a class is not in every fold."""
    for label, name in enumerate(classes):
        own = labels == label
        if len(np.unique(folds[own])) < (settings.folds or 0):
            raise InputError(
                f"data.split.folds: {settings.folds} needs pictures of each class in every fold, and class {name!r} "
                f"has {len(np.unique(groups[own]))} different ones{settings.as_one}, {int(own.sum())} files in all. "
                "Ask for fewer folds, or add files to this class."
            )


def _limit(numbers: NDArray[np.int64], labels: NDArray[np.int64], limit: int, seed: int) -> list[str]:
    """Leave all but `limit` training pictures out, each class in proportion; what to say of it."""
    rows = np.flatnonzero(numbers == 0)
    present, counts = np.unique(labels[rows], return_counts=True)
    if len(rows) <= limit:
        return []
    if limit < len(present):
        raise InputError(
            f"data.split.train_limit is {limit}, and train has {len(present)} classes, each of which needs a picture. "
            f"Set it to {len(present)} or more."
        )
    # A generator of its own: the limit changes nothing else, and a larger one only adds pictures.
    generator = np.random.default_rng([seed, 1])
    for label, count in zip(present.tolist(), counts_of(limit, counts.tolist()), strict=True):
        own = rows[labels[rows] == label]
        numbers[generator.permutation(own)[count:]] = LEFT_OUT
    return [
        f"{len(rows) - limit} of {len(rows)} training pictures are left out, drawn at random, as asked "
        f"(data.split.train_limit: {limit})."
    ]


def _copy_remarks(
    total: int, duplicates: int, by_bytes: int | None, across: int, conflicting: int, detection: bool
) -> list[str]:
    """`by_bytes`: how many of the duplicates repeat a file's very bytes; None where only bytes were compared."""
    remarks = []
    same = "the same bytes" if by_bytes is None else "the same content"
    if duplicates:
        repeat = "bytes" if by_bytes is None else f"content ({by_bytes} its bytes, {duplicates - by_bytes} in others)"
        remarks.append(
            f"{duplicates} of {total} pictures repeat another one's {repeat}; "
            + ("those of one content stay in one part." if not across else "see the next remark.")
        )
    if across:
        remarks.append(
            f"{across} pictures have a copy in another part, as the data's folders supply them: figures on validation "
            "and test are flattered by what was seen in training."
        )
    if conflicting:
        remarks.append(
            f"{conflicting} pictures with {same} stand under different classes, so no model can have all right."
            if not detection
            else f"{conflicting} pictures with {same} stand both as normal and as an anomaly, so no model can "
            "have all right."
        )
    return remarks


def _group_remarks(groups: NDArray[np.int64], numbers: NDArray[np.int64], unmatched: int) -> list[str]:
    remarks = []
    cut = mixed(groups, numbers)
    if cut.any():
        remarks.append(
            f"{len(np.unique(groups[cut]))} source pictures have patches in several parts ({int(cut.sum())} pictures), "
            "as the data's folders supply them: figures are flattered by views seen in training."
        )
    if unmatched:
        remarks.append(
            f"{unmatched} pictures don't match data.split.group, and each counts as a source picture of its own."
        )
    return remarks


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

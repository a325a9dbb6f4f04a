"""Dividing rows into parts: groups stay whole, and the shares come out as well as they can."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from orchestrator.data.layouts.listing import PARTS, Part
from orchestrator.data.split.settings import SplitSettings
from trainables.errors import InputError


class Groups(NamedTuple):
    """Which pictures belong together."""

    numbers: NDArray[np.int64]
    """(N,): each picture's group, from 0."""
    names: tuple[str, ...]
    """(N,): each picture's group by name: its source picture, or the path of the first picture in it."""
    unmatched: int
    """Pictures whose stem the expression does not match; each is a source picture of its own."""


def content_numbers(content: Sequence[str], sights: Sequence[str] = ()) -> NDArray[np.int64]:
    """(N,): a number for each different content: what is seen, where `sights` name it, else the bytes of `content`."""
    first: dict[str, str] = {}
    seen = [sight or name for sight, name in zip(sights or content, content, strict=True)]
    for sight, name in zip(seen, content, strict=True):
        first[sight] = min(name, first.get(sight, name))
    # By the least of the bytes' hashes: where no two files show the same, divisions are those that bytes give.
    numbers: NDArray[np.int64] = np.unique(np.array([first[sight] for sight in seen]), return_inverse=True)[1]
    return numbers


def stem_of(path: str) -> str:
    """A file's name without its last suffix."""
    return path.rpartition("/")[2].rpartition(".")[0]


def group_pictures(paths: Sequence[str], contents: NDArray[np.int64], expression: str | None) -> Groups:
    """Pictures of one source picture, or of one of the `contents` (N,), in one group.

    `expression` has one group, which gives the source picture from a path's stem; None: each is its own.
    InputError where it matches no path.
    """
    if expression is None:
        alone = np.unique(contents, return_inverse=True)[1].astype(np.int64)
        return Groups(alone, _named(alone, paths), 0)
    pattern = re.compile(expression)
    matches = [pattern.search(stem_of(path)) for path in paths]
    unmatched = sum(match is None or match[1] is None for match in matches)
    if unmatched == len(paths):
        raise InputError(
            f"The expression for source pictures, {expression!r} (data.split.group), matches the stem of no picture, "
            f"such as {paths[0]!r}. Correct it, or leave it out."
        )
    sources = [
        path if match is None or match[1] is None else match[1] for path, match in zip(paths, matches, strict=True)
    ]
    known: dict[str, int] = {}
    # A source and a path may be one text, so what did not match is told from what did.
    numbers = [
        known.setdefault(f"{match is not None and match[1] is not None}{source}", len(known))
        for source, match in zip(sources, matches, strict=True)
    ]
    offset = int(contents.max()) + 1
    size = offset + len(known)
    edges = coo_array((np.ones(len(paths)), (contents, np.array(numbers) + offset)), shape=(size, size))
    joined = connected_components(edges, directed=False)[1][contents].astype(np.int64)
    return Groups(joined, _named(joined, sources), unmatched)


def _named(numbers: NDArray[np.int64], names: Sequence[str]) -> tuple[str, ...]:
    """Each group's first name in the order of the rows."""
    first = np.full(int(numbers.max(initial=-1)) + 1, -1)
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]
    return tuple(names[row] for row in first[numbers].tolist())


def strata_of(groups: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Each group's class: that of most of its pictures, the first of equals."""
    counts = np.zeros((int(groups.max()) + 1, classes), dtype=np.int64)
    np.add.at(counts, (groups, labels), 1)
    strata: NDArray[np.int64] = counts.argmax(axis=1)
    return strata


def divided(
    rows: NDArray[np.int64],
    groups: NDArray[np.int64],
    shares: dict[Part, float],
    name: str,
    generator: np.random.Generator,
    placed: dict[Part, int] | None = None,
    why: str = "",
    alike: bool = False,
) -> NDArray[np.int64]:
    """The part (its index in PARTS) of each of one class's rows.

    `placed` is how many of the class are in these parts already, which count for the shares. `alike`: large groups go
    to each part in proportion, so that no part holds small ones alone. InputError where there are fewer groups than
    parts; `why` is what it says of that, such as `why_few` gives.
    """
    present, position, sizes = np.unique(groups[rows], return_inverse=True, return_counts=True)
    parts = list(shares)
    if len(present) < len(parts):
        raise InputError(
            f"Class {name!r} has too few different pictures to divide: {len(present)}, and each of {', '.join(parts)} "
            f"needs one, which makes {len(parts)}. {why}Add files to this class, or leave its folder out."
        )
    there = [(placed or {}).get(part, 0) for part in parts]
    wanted = counts_of(len(rows) + sum(there), [shares[part] for part in parts])
    wanted = [count - already for count, already in zip(wanted, there, strict=True)]
    targets = [max(1, count) for count in wanted]
    # Large groups first, in a drawn order among equals: each goes where most is lacking, so that the shares come out.
    order = generator.permutation(len(present))
    order = order[np.argsort(-sizes[order], kind="stable")]
    chosen = np.empty(len(present), dtype=np.int64)
    empty = set(range(len(parts)))
    for step, group in enumerate(order):
        candidates = empty if len(empty) == len(present) - step else range(len(parts))
        size = int(sizes[group])
        fitting = [one for one in candidates if wanted[one] >= size] if alike else []
        if fitting:
            part = max(fitting, key=lambda one: (wanted[one] / targets[one], -one))
        else:
            part = max(candidates, key=lambda one: (wanted[one], -one))
        chosen[group] = part
        wanted[part] -= size
        empty.discard(part)
    return np.array([PARTS.index(parts[part]) for part in chosen[position]], dtype=np.int64)


def folds_of(
    rows: NDArray[np.int64],
    groups: NDArray[np.int64],
    strata: NDArray[np.int64],
    folds: int,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """The fold, from 0, of each of the rows: groups whole, each stratum and the whole spread evenly.

    `strata`: each group's. Rare strata first, of these large groups, each to the fold with the fewest pictures of its
    stratum, of equals to that with the fewest in all, of equals to a drawn one.
    """
    present, position, sizes = np.unique(groups[rows], return_inverse=True, return_counts=True)
    kinds = strata[present]
    of_stratum = np.zeros((int(kinds.max()) + 1, folds), dtype=np.int64)
    in_all, drawn = np.zeros(folds, dtype=np.int64), generator.permutation(folds)
    order = generator.permutation(len(present))
    rarity = np.bincount(kinds, weights=sizes)[kinds]
    chosen = np.empty(len(present), dtype=np.int64)
    # One stratum after the other, or pictures that are left over from even shares would not fill up the same folds.
    for group in order[np.lexsort((-sizes[order], kinds[order], rarity[order]))]:
        own = of_stratum[kinds[group]]
        fold = np.lexsort((drawn, in_all, own))[0]
        chosen[group] = fold
        own[fold] += sizes[group]
        in_all[fold] += sizes[group]
    found: NDArray[np.int64] = chosen[position]
    return found


def why_few(own: NDArray[np.int64], rows: NDArray[np.int64], groups: NDArray[np.int64], settings: SplitSettings) -> str:
    """Why a class has fewer different pictures than files. `own`: its rows in train; `rows`: those divided as its own.

    `settings` say what is in one group beside copies. Empty, or a sentence with a space behind it.
    """
    if not len(own):
        return "None of its files is in train. "
    kin = settings.kin
    mine = own[np.isin(own, rows)]
    different = len(np.unique(groups[mine]))
    said = []
    if len(mine) < len(own):
        said.append(f"{len(own) - len(mine)} of its {len(own)} files are {kin} of other classes' and count there")
    if different < len(mine):
        said.append(f"{len(mine)} of its {len(own)} files are {kin} of one another: {different} different")
    if said and settings.grouped:
        said[-1] += " (data.split.near_duplicates: group; with count, near-duplicates may fall apart)"
    return f"{'; '.join(said)}. " if said else ""


def counts_of(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers in the proportion of the shares that make `total`, by largest remainder, each at least one."""
    exact = np.array(shares) / sum(shares) * total
    counts = np.maximum(1, np.floor(exact).astype(np.int64))
    while counts.sum() != total:
        step = 1 if counts.sum() < total else -1
        gaps = np.where((counts > 1) | (step > 0), step * (exact - counts), -np.inf)
        counts[int(gaps.argmax())] += step
    return [int(count) for count in counts]


def mixed(groups: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,): whether a picture belongs to a group in which `values` differ."""
    lowest = np.full(int(groups.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    highest = np.full(len(lowest), np.iinfo(np.int64).min)
    np.minimum.at(lowest, groups, values)
    np.maximum.at(highest, groups, values)
    differs: NDArray[np.bool_] = (lowest != highest)[groups]
    return differs

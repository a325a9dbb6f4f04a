"""Leaderboards of several data sets to average ranks, where enough variants stand on enough of them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestrator.comparing.data_sets import BoardRow, DataSet
from orchestrator.comparing.foreign import FAMILY
from orchestrator.report.document.formatting import plural, printable, words
from orchestrator.scoring.ranks import LEAST, RankTest, rank_test

Method = tuple[str, str]
"""(variant, family): what counts as one over data sets."""


@dataclass(frozen=True)
class Ranking:
    """One task's ranks over its data sets, or why there are none."""

    task: str
    metric: str
    data_sets: tuple[str, ...] = ()
    """The labels of those that the ranks rest on."""
    figures: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """By method, its mean on each of those."""
    test: RankTest | None = None
    reason: str = ""
    """Why no test was made; empty where one was."""
    remarks: tuple[str, ...] = ()
    """What the ranks leave out or join, a sentence each."""


def rank_boards(sets: Sequence[DataSet]) -> Ranking:
    """Rank the variants of one task over its data sets.

    Variants with the same name and family count as one method. A block is a data set: of several splits of the same
    data the one with the most methods stands, and of several runs of a method on one split their mean, so that nothing
    is chosen by its figure. Only a complete table is ranked; `complete_blocks` says which. Models of other tools join
    it where they stand on each of its data sets by scores that were judged here, and change nothing of which these are;
    metrics of theirs, on pictures that are not known, are never ranked.
    """
    task, metric, mode = sets[0].task, sets[0].metric, sets[0].mode
    remarks: list[str] = []
    blocks = _one_split_each(sets, remarks)
    tables = {one.label: _by_method(one, remarks) for one in blocks}
    own = {name: {method for method in table if method[1] != FAMILY} for name, table in tables.items()}
    methods, chosen = complete_blocks(own)
    if chosen:
        joining = set.intersection(*(set(tables[name]) for name in chosen)).difference(methods)
        methods += sorted(method for method in joining if method[1] == FAMILY)
    else:
        methods, chosen = complete_blocks({name: set(table) for name, table in tables.items()})
    _say_foreign(blocks, methods, remarks)
    if not chosen:
        on = plural(len(tables), "data set")
        reason = (
            f"No test of ranks was made for {task}: it needs at least {LEAST} variants of the same name and family on "
            f"each of at least {LEAST} data sets, since the blocks must be data sets; seeds of one data set are not "
            f"independent of each other. There {'is' if len(tables) == 1 else 'are'} {on} here"
        )
        return Ranking(task, metric, reason=f"{reason}{_widest(tables)}.", remarks=tuple(remarks))
    names = _names(methods)
    everything = dict.fromkeys(method for table in tables.values() for method in table)
    left = [_full_name(method) for method in everything if method not in methods]
    if left:
        remarks.append(f"Not ranked, because not on each of the ranked data sets: {words(left, 12)}.")
    dropped = [name for name in tables if name not in chosen]
    if dropped:
        remarks.append(f"Not ranked, because not every ranked variant stands on it: {words(dropped, 12)}.")
    figures = {names[method]: tuple(tables[name][method] for name in chosen) for method in methods}
    return Ranking(task, metric, tuple(chosen), figures, rank_test(figures, mode), remarks=tuple(remarks))


def complete_blocks(tables: Mapping[str, set[Method]]) -> tuple[list[Method], list[str]]:
    """The methods and data sets of the largest complete table, at least LEAST by LEAST; both empty where there is none.

    Only which figures are there decides, never what they are: of the tables that the methods of one data set, or those
    that two or three of them share, span, the one with the most cells, then with the most data sets.
    """
    best: tuple[list[Method], list[str]] = [], []
    size = 0, 0
    for number in (1, 2, 3):
        for some in itertools.combinations(tables, number):
            shared = set.intersection(*(tables[name] for name in some))
            names = [name for name in tables if shared <= tables[name]]
            grade = len(shared) * len(names), len(names)
            if len(shared) >= LEAST and len(names) >= LEAST and grade > size:
                best, size = (sorted(shared), names), grade
    return best


def _one_split_each(sets: Sequence[DataSet], remarks: list[str]) -> list[DataSet]:
    """A data set for each fingerprint of data."""
    chosen: dict[str, DataSet] = {}
    for one in sets:
        other = chosen.get(one.data)
        if other is None:
            chosen[one.data] = one
            continue
        kept = max((other, one), key=lambda each: len({_method(row) for row in each.rows if not row.foreign}))
        left = one if kept is other else other
        remarks.append(f"{left.label} is not ranked: it is another split of the data of {kept.label}.")
        chosen[one.data] = kept
    return list(chosen.values())


def _by_method(one: DataSet, remarks: list[str]) -> dict[Method, float]:
    """The mean figure of each method over the runs that have it."""
    found: dict[Method, list[float]] = {}
    for row in one.rows:
        if row.estimate is not None and row.source != "metrics":
            found.setdefault(_method(row), []).append(row.estimate.mean)
    several = [_full_name(method) for method, values in found.items() if len(values) > 1]
    if several:
        remarks.append(f"On {one.label}, of {words(several)} the mean over runs is ranked.")
    return {method: float(np.mean(values)) for method, values in found.items()}


def _method(row: BoardRow) -> Method:
    return row.variant, row.family


def _say_foreign(blocks: Sequence[DataSet], methods: Sequence[Method], remarks: list[str]) -> None:
    """Which models of other tools are ranked, and which can't be."""
    ranked = [_full_name(method) for method in methods if method[1] == FAMILY]
    if ranked:
        remarks.append(
            f"Ranked though this program did not make them, because their scores were judged on each ranked data set: "
            f"{words(ranked, 12)}. How their thresholds or hyperparameters were chosen is not known."
        )
    tables = dict.fromkeys(_full_name(_method(row)) for one in blocks for row in one.rows if row.source == "metrics")
    if tables:
        remarks.append(f"Not ranked, because on which pictures is not known: {words(list(tables), 12)}.")


def _names(methods: Sequence[Method]) -> dict[Method, str]:
    """What each is called: its variant, with the family where two families have one of that name."""
    variants = [variant for variant, _ in methods]
    return {
        method: printable(method[0]) if variants.count(method[0]) == 1 else _full_name(method) for method in methods
    }


def _full_name(method: Method) -> str:
    variant, family = (printable(part) for part in method)
    return variant if family in (variant, FAMILY) else f"{variant} ({family})"


def _widest(tables: Mapping[str, Mapping[Method, float]]) -> str:
    """How far the methods reach, for the sentence on why there is no test."""
    reach = {method: sum(method in table for table in tables.values()) for table in tables.values() for method in table}
    wide = sorted(_full_name(method) for method, number in reach.items() if number >= LEAST)
    if len(tables) < LEAST:
        return ""
    return f", and on {LEAST} or more of them {'stands only ' + words(wide) if wide else 'stands no variant'}"

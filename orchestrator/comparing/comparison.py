"""Runs to what moved between the first and each other: the whole of `orchestrate compare` but its words."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.comparing.changes import Change, changes
from orchestrator.comparing.differences import Cells, Move, corrected, moves
from orchestrator.comparing.foreign import MARK
from orchestrator.comparing.plain_values import plain
from orchestrator.comparing.reading import NamedRun, read_all
from orchestrator.comparing.same_split import SplitCheck, check_split
from orchestrator.report.document.formatting import printable, words
from trainables.errors import InputError


@dataclass(frozen=True)
class Against:
    """One run beside the first."""

    run: NamedRun
    check: SplitCheck
    changes: tuple[Change, ...]
    moves: tuple[Move, ...]


@dataclass(frozen=True)
class RunComparison:
    """Every other run beside the first."""

    first: NamedRun
    others: tuple[Against, ...]
    tests: int
    """Over how many tests Holm's correction ran."""
    notices: tuple[str, ...]

    @property
    def metric(self) -> str:
        """The first run's objective."""
        return self.first.data.metric


def read_comparison(
    paths: Sequence[Path], *, mark: bool = False, matches: Sequence[str] = (), metrics: Sequence[str] = ()
) -> RunComparison:
    """Each run against the first: the split, what changed, what moved and whether significantly.

    `mark`: where the splits differ, give the figures without any test instead of refusing. `matches`: NAME=NAME, a
    variant of the first run and what it is called in the others. `metrics`: only these; the correction then counts no
    others. InputError for runs that can't be read or compared.
    """
    runs = read_all(paths)
    first, rest = runs[0], runs[1:]
    _check_metrics(runs, metrics)
    renamed = _renamed(runs, matches)
    checks = [check_split(first, run) for run in rest]
    for run, check in zip(rest, checks, strict=True):
        if not check.same and not mark and run.foreign is None:
            raise InputError(
                f"{run.name} was not judged on the split of {first.name}, so their figures can't be compared. "
                f"{' '.join(check.differences)} {check.counts} Repeat one of the runs on the other's data and split; "
                "or give --mark for the figures side by side, marked as not comparable and without any test."
            )
    cells = Cells(first)
    found, changed = [], []
    for run, check in zip(rest, checks, strict=True):
        if run.foreign is None:
            pairs = _pairs(first, run, renamed)
            changed.append(tuple(changes(first, run, pairs)))
            found.append(moves(cells, Cells(run), list(pairs.items()), metrics, check.same))
        else:
            changed.append(())  # nothing is known of how its models were made
            found.append(moves(cells, Cells(run), _against_all(first, run, renamed), metrics, check.same))
    judged, tests = corrected(found)
    others = tuple(
        Against(run, check, its_changes, tuple(moved))
        for run, check, its_changes, moved in zip(rest, checks, changed, judged, strict=True)
    )
    return RunComparison(first, others, tests, tuple(notice for run in runs for notice in run.notices))


def comparison_json(found: RunComparison) -> dict[str, Any]:
    """Everything as plain JSON values; what is not known is null."""
    others = [
        {
            "run": str(one.run.data.run.root),
            "foreign": one.run.foreign is not None,
            "comparable": one.check.same,
            "split": {
                "same": one.check.same,
                "differences": list(one.check.differences),
                "test_pictures": {
                    "first": one.check.test_first,
                    "second": one.check.test_second,
                    "common": one.check.common,
                    "tested_in_first_used_in_second": one.check.elsewhere,
                },
            },
            "changes": [asdict(change) for change in one.changes],
            "moves": [move_values(move) for move in one.moves],
        }
        for one in found.others
    ]
    values = {
        "first": str(found.first.data.run.root),
        "task": found.first.data.task,
        "objective": {"metric": found.metric, "mode": found.first.data.mode},
        "tests": found.tests,
        "correction": "Holm",
        "notices": list(found.notices),
        "others": others,
    }
    result: dict[str, Any] = plain(values)
    return result


def move_values(move: Move) -> dict[str, Any]:
    """One move as a flat row of full numbers, as JSON and CSV have it."""
    row: dict[str, Any] = {"variant": move.variant, "variant_second": move.other, "metric": move.metric}
    for side, value in (("first", move.first), ("second", move.second)):
        row |= {
            f"{side}": None if value is None else value.mean,
            f"{side}_low": None if value is None else value.low,
            f"{side}_high": None if value is None else value.high,
            f"{side}_seeds": 0 if value is None else value.seeds,
        }
    comparison = move.comparison
    difference = None if comparison is None else comparison.difference
    row |= {
        "difference": None if difference is None else difference.mean,
        "difference_low": None if difference is None else difference.low,
        "difference_high": None if difference is None else difference.high,
        "paired_seeds": 0 if difference is None else difference.seeds,
        "with_pictures": difference is not None and difference.with_pictures,
        "probability_better": None if comparison is None else comparison.probability,
        "p": None if comparison is None else comparison.p,
        "p_holm": None if comparison is None else comparison.p_corrected,
        "outcome": move.outcome,
        "explanation": move.explanation,
    }
    return row


def _check_metrics(runs: Sequence[NamedRun], metrics: Sequence[str]) -> None:
    known = {name for run in runs for name in run.data.metrics}
    unknown = [name for name in metrics if name not in known]
    if unknown:
        raise InputError(
            f"No run has the metric {words([printable(name) for name in unknown])}. "
            f"The runs have {words([printable(name) for name in sorted(known)], 30)}."
        )
    first = runs[0]
    for run in runs[1:]:
        if not set(first.data.metrics) & set(run.data.metrics):
            listed = [words([printable(name) for name in one.data.metrics], 30) for one in (first, run)]
            raise InputError(
                f"{first.name} and {run.name} have no metric in common: {listed[0]} there, {listed[1]} here. "
                "Evaluate them with the same version of this package."
            )


def _renamed(runs: Sequence[NamedRun], matches: Sequence[str]) -> dict[str, str]:
    """The pairs of --match, checked against the runs."""
    renamed: dict[str, str] = {}
    ours = set(runs[0].data.variants)
    theirs = {name for run in runs[1:] for name in run.data.variants}
    for match in matches:
        mine, equals, its = match.partition("=")
        its = its if its in theirs else f"{its}{MARK}" if f"{its}{MARK}" in theirs else its
        known = {"first": ours, "other": theirs}
        for name, side in ((mine, "first"), (its, "other")):
            if not equals or name not in known[side]:
                raise InputError(
                    f"--match {printable(match)}: it must be NAME=NAME, a variant of the first run and its name in the "
                    f"others. The first run has {words([printable(one) for one in sorted(ours)], 30)}; the others have "
                    f"{words([printable(one) for one in sorted(theirs)], 30)}."
                )
        if mine in renamed or its in renamed.values():
            raise InputError(f"--match {printable(match)}: each variant can be matched once.")
        renamed[mine] = its
    return renamed


def _against_all(first: NamedRun, second: NamedRun, renamed: dict[str, str]) -> list[tuple[str, str]]:
    """Each model of another tool against each variant of the first run: none is the other's counterpart. Where --match
    names some of the file's, these alone."""
    ours = [name for name, cells in first.data.completed.items() if cells]
    asked = [(mine, its) for mine, its in renamed.items() if mine in ours and its in second.data.variants]
    return asked or [(mine, its) for its in second.data.variants for mine in ours]


def _pairs(first: NamedRun, second: NamedRun, renamed: dict[str, str]) -> dict[str, str]:
    """Variant of the first run -> its name in the second, of those that both evaluated."""
    ours = [name for name, cells in first.data.completed.items() if cells]
    theirs = {name for name, cells in second.data.completed.items() if cells}
    taken = {its for its in renamed.values() if its in theirs}
    pairs = {}
    for name in ours:
        its = renamed.get(name, name)
        if its not in theirs:
            its = name
        if its in theirs and (its not in taken or renamed.get(name) == its):
            pairs[name] = its
    if not pairs:
        raise InputError(
            f"{first.name} and {second.name} evaluated no variant of the same name: "
            f"{words([printable(name) for name in ours], 30)} there, "
            f"{words([printable(name) for name in sorted(theirs)], 30)} here. "
            "Say which are the same with --match NAME=NAME."
        )
    return pairs

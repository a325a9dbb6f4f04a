"""What moved from one run to another: paired differences by variant and metric, tested together."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.artifacts.records import TrialRecord
from orchestrator.comparing.foreign import ForeignData, aligned
from orchestrator.comparing.reading import NamedRun
from orchestrator.report.numbers.measured import Drawn, compared, drawn, evidence
from orchestrator.report.numbers.over_splits import evidence_over_splits
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.standing_cells import metrics_of_cells
from orchestrator.scoring.comparisons import Comparison
from orchestrator.scoring.comparisons import corrected as after_holm
from orchestrator.scoring.intervals import Estimate, estimate
from orchestrator.scoring.repeated_splits import SplitEvidence, estimate_over_splits, paired_over_splits
from trainables.interface import Mode

Outcome = Literal[
    "moved significantly", "no significant change", "unchanged", "no test", "only in the first", "only in the second",
    "not comparable",
]  # fmt: skip


@dataclass(frozen=True)
class Move:
    """One metric of one variant in two runs, on the test part."""

    variant: str
    """Its name in the first run, or in the second where only that has it."""
    other: str
    """Its name in the second run."""
    metric: str
    first: Estimate | None
    second: Estimate | None
    outcome: Outcome
    explanation: str
    """In words: which way it moved, or why no test was made; may be empty."""
    mode: Mode = "max"
    """Which way the metric is better."""
    comparison: Comparison | None = None
    """Second minus first, paired by seed; None where the runs are not comparable or one has no such figure."""


class Cells:
    """A run's completed cells with their bootstrap draws, made when first asked for."""

    def __init__(self, run: NamedRun) -> None:
        self.run = run
        self._drawn: dict[str, Drawn] = {}

    def of(self, variant: str) -> Drawn:
        """The cells of one variant, and each metric on draws of the test pictures."""
        if isinstance(self.run.data, ForeignData):
            return self.run.data.drawn(variant)
        if variant not in self._drawn:
            self._drawn[variant] = drawn(self.run.data, self.records(variant))
        return self._drawn[variant]

    def beside(self, ours: Drawn, variant: str) -> Drawn:
        """The same, of a file of another tool under the seeds of what it stands against."""
        return aligned(self.of(variant), ours) if self.run.foreign else self.of(variant)

    def records(self, variant: str) -> Sequence[TrialRecord]:
        return self.run.data.completed.get(variant, [])

    def over_splits(self, variant: str, metric: str, numbers: Collection[int]) -> SplitEvidence | None:
        """What is known of one metric over some of the run's splits; None where no cell has it."""
        data = self.run.data
        cells = {
            one.split_number: one.completed.get(variant, ())
            for one in data.evaluated_splits
            if one.split_number in numbers
        }
        return evidence_over_splits(data, cells, metric)


def common_splits(first: RunData, second: RunData) -> list[int]:
    """The numbers of the splits that two runs with several were evaluated on, where these are the same pictures; empty
    where fewer than two are, so that their first splits are compared."""
    theirs = {one.split_number: one.split.get("fingerprint") for one in second.evaluated_splits}
    ours = {one.split_number: one.split.get("fingerprint") for one in first.evaluated_splits}
    found = [number for number, name in ours.items() if name is not None and theirs.get(number) == name]
    return found if len(found) > 1 else []


def moves(
    first: Cells, second: Cells, pairs: Sequence[tuple[str, str]], metrics: Sequence[str], comparable: bool
) -> list[Move]:
    """Every metric of every pair, not corrected yet; then the variants that only one run has.

    `pairs`: a variant of the first run, and what it stands against in the second. `metrics`: those to compare; all that
    either holds where it is empty, or all that a file of another tool does. Where the runs are not `comparable`,
    figures stand without differences and tests.
    """
    numbers = common_splits(first.run.data, second.run.data) if comparable else []
    found = []
    for mine, its in pairs:
        held = [*([] if second.run.foreign else first.records(mine)), *second.records(its)]
        asked = metrics or metrics_of_cells(first.run.data.metric, held)
        found += [_move(first, second, mine, its, metric, comparable, numbers) for metric in asked]
    sides: tuple[tuple[Cells, set[str], Outcome], ...] = (
        (first, {mine for mine, _ in pairs}, "only in the first"),
        (second, {its for _, its in pairs}, "only in the second"),
    )
    for cells, others, outcome in sides:
        for variant in cells.run.data.variants:
            if variant in others or not cells.records(variant):
                continue
            for metric in metrics or metrics_of_cells(first.run.data.metric, cells.records(variant)):
                value = estimated(cells, variant, metric, numbers)
                if value is not None:
                    here = outcome == "only in the first"
                    ours, theirs = (value, None) if here else (None, value)
                    found.append(Move(variant, variant, metric, ours, theirs, outcome, ""))
    return found


def corrected(found: Iterable[Iterable[Move]]) -> tuple[list[list[Move]], int]:
    """The moves of every pair of runs after Holm's correction over all of them, and over how many tests that was.

    A figure moved significantly where the corrected p is below .05, and by nothing else.
    """
    lists = [list(moves_of) for moves_of in found]
    every = [move for moves_of in lists for move in moves_of]
    tested = {str(place): move.comparison for place, move in enumerate(every) if move.comparison is not None}
    judged = after_holm(tested, {place: every[int(place)].mode for place in tested})
    moved = iter(_judged(move, judged.get(str(place))) for place, move in enumerate(every))
    tests = sum(one.p is not None for one in tested.values())
    return [[next(moved) for _ in moves_of] for moves_of in lists], tests


def _move(
    first: Cells, second: Cells, mine: str, its: str, metric: str, comparable: bool, numbers: Collection[int]
) -> Move:
    values = estimated(first, mine, metric, numbers), estimated(second, its, metric, numbers)
    if values[0] is None or values[1] is None:
        outcome: Outcome = "only in the second" if values[1] is not None else "only in the first"
        if values == (None, None):
            return Move(mine, its, metric, None, None, "no test", "neither run has it")
        return Move(mine, its, metric, *values, outcome, "")
    if not comparable:
        why = "pictures not known" if second.run.foreign else "other split"
        return Move(mine, its, metric, *values, "not comparable", why)
    mode = first.run.data.mode_of(metric)
    if numbers:
        return _move_over_splits(first, second, mine, its, metric, numbers, values)
    ours = first.of(mine)
    theirs = second.beside(ours, its)
    comparison = compared(first.run.data, theirs, ours, metric)
    seeds = 0 if comparison is None else comparison.difference.seeds
    if comparison is not None and comparison.p is None and seeds and comparison.difference.mean == 0:
        every = "every seed" if {len(ours.cells), len(theirs.cells)} == {seeds} else "every seed in common"
        return Move(mine, its, metric, *values, "unchanged", f"the same with {every}", mode, comparison)
    few = ("no seed in common", "one seed in common")
    why = "" if comparison is None else few[seeds] if seeds < 2 else comparison.why
    return Move(mine, its, metric, *values, "no test", why, mode, comparison)


def _move_over_splits(
    first: Cells,
    second: Cells,
    mine: str,
    its: str,
    metric: str,
    numbers: Collection[int],
    values: tuple[Estimate | None, Estimate | None],
) -> Move:
    ours, theirs = first.over_splits(mine, metric, numbers), second.over_splits(its, metric, numbers)
    assert ours is not None
    assert theirs is not None
    mode = first.run.data.mode_of(metric)
    comparison = paired_over_splits(theirs, ours, mode)
    if comparison.p is None and comparison.difference.splits and comparison.difference.mean == 0:
        return Move(mine, its, metric, *values, "unchanged", "the same on every split", mode, comparison)
    return Move(mine, its, metric, *values, "no test", comparison.why, mode, comparison)


def _judged(move: Move, comparison: Comparison | None) -> Move:
    if comparison is None or comparison.p is None:
        return move
    if comparison.outcome == "not significant":
        words = comparison.explanation.removeprefix("not significant").lstrip()
        return replace(move, comparison=comparison, outcome="no significant change", explanation=words)
    return replace(move, comparison=comparison, outcome="moved significantly", explanation=comparison.outcome)


def estimated(cells: Cells, variant: str, metric: str, numbers: Collection[int] = ()) -> Estimate | None:
    """One metric of one variant with its interval; None where no cell has it."""
    if numbers:
        over = cells.over_splits(variant, metric, numbers)
        return None if over is None else estimate_over_splits(over)
    known = evidence(cells.run.data, cells.of(variant), metric)
    return None if known is None else estimate(known)

"""What moved between runs, in words and tables: one description for terminal, HTML and Markdown."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from orchestrator.comparing.changes import Change, Scope
from orchestrator.comparing.comparison import Against, RunComparison, move_values
from orchestrator.comparing.differences import Move
from orchestrator.comparing.reading import NamedRun, letter
from orchestrator.report.document.document import Block, Fold, Listing, Report, Section, Table, TableCell
from orchestrator.report.document.formatting import (
    count,
    interval,
    label,
    number,
    p_value,
    plural,
    printable,
    sentence,
    setting,
    shorten,
    words,
)
from orchestrator.report.numbers.conclusions import power

MOST_SAID = 4
"""More figures than these are counted instead of named in a sentence."""


def comparison_report(found: RunComparison) -> Report:
    """The whole comparison."""
    names = [found.first, *(one.run for one in found.others)]
    sections: list[Section] = []
    tables: list[Table] = []
    for place, one in enumerate(found.others, start=1):
        tables.append(_moves_table(found, one, letter(place)))
        sections += _sections(one, letter(place), place, tables[-1])
    return Report(
        title=f"What moved: {words([f'{letter(place)} against A' for place in range(1, len(names))], 4)}",
        subtitle="; ".join(f"{letter(place)} is {run.name}" for place, run in enumerate(names)),
        asked=[_asked(letter(place), run) for place, run in enumerate(names)],
        found=[line for place, one in enumerate(found.others, start=1) for line in _said(found, one, letter(place))],
        notices=found.notices,
        sections=sections,
        frames=_frames(found),
        printed={"moves": tables},
    )


def _asked(name: str, run: NamedRun) -> str:
    cells = sum(len(cells) for cells in run.data.completed.values())
    return (
        f"{name}: {printable(run.data.run.root)}, {plural(cells, 'evaluated model')}, "
        f"last record of {printable(max(run.data.distinct('finished')))}."
    )


def _said(found: RunComparison, one: Against, name: str) -> list[str]:
    """What came out, in sentences; the first is the finding."""
    if not one.check.same:
        return [f"{name} and A were judged on other splits: their figures are not comparable, and no test is made."]
    tested = [move for move in one.moves if move.comparison is not None]
    moved = [move for move in tested if move.outcome == "moved significantly"]
    by_metric = [_moved(move) for move in moved if move.metric == found.metric]
    if moved:
        lines = [f"{name} against A: {count(len(moved))} of {plural(len(tested), 'figure')} moved significantly."]
        by_objective = "; ".join(by_metric[:MOST_SAID]) or "nothing moved significantly"
        lines.append(f"By {label(found.metric)}, the objective: {by_objective}.")
    else:
        lines = [f"{name} against A: none of {plural(len(tested), 'figure')} moved significantly."]
    unchanged = sum(move.outcome == "unchanged" for move in tested)
    if unchanged:
        lines.append(f"{sentence(plural(unchanged, 'figure'))} came out the same with every seed.")
    lines.append(_may_be_concluded(found, tested))
    changed = Counter(change.scope for change in one.changes)
    nouns: dict[Scope, tuple[str, str]] = {
        "experiment": ("key of the experiment", "keys of the experiment"),
        "winner": ("key of the evaluated configurations", "keys of the evaluated configurations"),
        "environment": ("version or device", "versions or devices"),
    }
    listed = [plural(changed[scope], *noun) for scope, noun in nouns.items() if changed[scope]]
    differ = f"{words(listed)} {'differs' if sum(changed.values()) == 1 else 'differ'}"
    lines.append(
        f"{sentence(differ)}." if listed else "Experiment, evaluated configurations and versions are the same."
    )
    return lines


def _moved(move: Move) -> str:
    difference = move.comparison.difference.mean if move.comparison else None
    return f"{printable(move.variant)} {number(difference, signed=True)} ({move.explanation})"


def _may_be_concluded(found: RunComparison, tested: Sequence[Move]) -> str:
    seeds = [move.comparison.difference.seeds for move in tested if move.comparison and move.comparison.p is not None]
    if tested and all(move.outcome == "unchanged" for move in tested):
        return "Nothing differs, so nothing is tested."
    if not seeds:
        return "No test could be made: it takes two seeds in common and the test scores of both runs."
    by_objective = [move.comparison for move in tested if move.comparison and move.metric == found.metric]
    said = power(by_objective, None)
    detected = f" By {label(found.metric)}, {said}" if said else ""
    return (
        f"No significant change is not equality.{detected} More seeds, or fewer metrics (--metric), show smaller ones."
    )


def _sections(one: Against, name: str, place: int, moved: Table) -> list[Section]:
    beside = f"{name} against A"
    split = (
        "Both were judged on the same split of the same data: the fingerprints in records and split.json agree."
        if one.check.same
        else "They were judged on other splits. Every figure below is marked: other split, not comparable."
    )
    lines = [*one.check.differences, *([one.check.counts] if one.check.counts else [])]
    return [
        Section(f"split-{place}", f"Same split? {beside}", [split], [Listing(lines)] if lines else []),
        Section(f"changes-{place}", f"What changed: {beside}", *_changes(one, name)),
        Section(f"moves-{place}", f"What moved: {beside}", [], [moved]),
    ]


def _changes(one: Against, name: str) -> tuple[list[str], list[Block]]:
    scopes = {
        "experiment": "The experiment's file",
        "winner": "What was evaluated",
        "environment": "Code, packages and device",
    }
    blocks: list[Block] = []
    same = []
    for scope, title in scopes.items():
        rows = [change for change in one.changes if change.scope == scope]
        if rows:
            blocks.append(Fold(title, [_changes_table(title, rows, name, scope == "winner")], opened=True))
        else:
            same.append(title)
    shown = [same[0], *(f"{title[0].lower()}{title[1:]}" for title in same[1:])] if same else []
    return [f"The same in both: {'; '.join(shown)}."] if same else [], blocks


def _changes_table(title: str, rows: Sequence[Change], name: str, winner: bool) -> Table:
    printed = [
        [
            *([TableCell(printable(row.variant))] if winner else []),
            TableCell(printable(row.key)),
            TableCell(shorten(setting(row.before), 60)),
            TableCell(shorten(setting(row.after), 60)),
        ]
        for row in rows
    ]
    columns = [*(["Variant"] if winner else []), "Key", "A", name]
    return Table("changes", f"{title}: what {name} has otherwise than A.", columns, printed)


def _moves_table(found: RunComparison, one: Against, name: str) -> Table:
    printed = [_row(move, one.check.same, name) for move in one.moves]
    paired = [move.comparison.difference for move in one.moves if move.comparison]
    same_pictures = any(difference.with_pictures for difference in paired)
    seeds = {difference.seeds for difference in paired}
    caption = f"Every metric on the test part, mean over seeds, in A and {name}."
    if one.check.same:
        over = f" ({plural(min(seeds), 'seed')} in common)" if len(seeds) == 1 else ""
        splits = max((difference.splits for difference in paired), default=0)
        if splits:
            caption += (
                f" Over {plural(splits, 'split')} that both have. {name} − A: paired by split and seed{over}, with its "
                "95 % interval over splits, by the corrected resampled t test (Nadeau and Bengio 2003)"
            )
        else:
            caption += f" {name} − A: paired by seed{over}, with its 95 % interval over seeds"
            caption += " and test pictures" if same_pictures else ""
            caption += _first_splits(found, one, name)
        if found.tests:
            caption += (
                f". p: the level whose interval just reaches 0, Holm-corrected over all {plural(found.tests, 'test')}"
            )
            caption += " of this comparison." if len(found.others) == 1 else " of all runs here."
        else:
            caption += ". No test could be made."
        if any(_seeds_differ(move) for move in one.moves):
            caption += " Means are over all seeds of a run and differences over those in common: they need not agree."
        if any(difference.seeds and not difference.with_pictures for difference in paired):
            caption += " Where the scores of the same pictures were not kept in both, the interval covers seeds alone"
            caption += " and no test is made."
    else:
        caption += " Other split: not comparable. No difference is formed and no test is made."
    columns = ["Variant", "Metric", "A", name, f"{name} − A", "p (Holm)", "Outcome"]
    if len(seeds) > 1:
        columns.append("Seeds in common")
    printed = [row[: len(columns)] for row in printed]
    return Table("moves", caption + found.first.data.caveat, columns, printed, frozenset({2, 3, 5, 7}))


def _first_splits(found: RunComparison, one: Against, name: str) -> str:
    """That only the first splits are compared, where a run has more; as a clause."""
    more = [which for which, run in (("A", found.first), (name, one.run)) if run.data.over_splits]
    return f", on the first split alone, as the other splits of {words(more)} are not in both" if more else ""


def _seeds_differ(move: Move) -> bool:
    """Whether a run's mean is over other seeds than the difference."""
    if move.comparison is None or move.first is None or move.second is None:
        return False
    return {move.first.seeds, move.second.seeds} != {move.comparison.difference.seeds}


def _row(move: Move, same: bool, name: str) -> list[TableCell]:
    comparison = move.comparison
    difference = None if comparison is None else comparison.difference
    title = move.variant if move.variant == move.other else f"{move.variant} = {move.other}"
    known = difference is not None and difference.seeds > 0
    tones: dict[str, Any] = {"better": "good", "worse": "bad"}
    return [
        TableCell(printable(title)),
        TableCell(label(move.metric)),
        TableCell(number(move.first.mean if move.first else None)),
        TableCell(number(move.second.mean if move.second else None)),
        TableCell(
            number(difference.mean, signed=True) if difference and known else "",
            interval(difference.low, difference.high, signed=True)
            if difference and known and difference.low < difference.high
            else "",
        ),
        TableCell(p_value(comparison.p_corrected) if comparison and comparison.p_corrected is not None else ""),
        TableCell(outcome_words(move, same, name), tone=tones.get(move.explanation, "quiet")),
        TableCell(str(difference.seeds) if difference else ""),
    ]


def outcome_words(move: Move, same: bool, name: str) -> str:
    """The outcome as it is printed; `name`: the second run's letter."""
    if move.outcome == "only in the first":
        text = "only in A"
    elif move.outcome == "only in the second":
        text = f"only in {name}"
    else:
        text = "" if move.outcome == "not comparable" else move.outcome
        text += f": {move.explanation}" if move.explanation and text else ""
    marked = "" if same else "other split: not comparable"
    return "; ".join(part for part in (text, marked) if part)


def _frames(found: RunComparison) -> dict[str, pd.DataFrame]:
    """The full numbers: a CSV each."""
    moved = [
        {"first": str(found.first.data.run.root), "run": str(one.run.data.run.root), "same_split": one.check.same}
        | {f"value_{key}" if key in ("first", "second") else key: value for key, value in move_values(move).items()}
        for one in found.others
        for move in one.moves
    ]
    changed = [
        [str(one.run.data.run.root), row.scope, row.variant, row.key, row.before, row.after]
        for one in found.others
        for row in one.changes
    ]
    return {
        "moves": pd.DataFrame(moved),
        "changes": pd.DataFrame(changed, columns=["run", "scope", "variant", "key", "before", "after"]),
    }

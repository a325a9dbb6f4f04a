"""What moved between runs, in words and tables: one description for terminal, HTML and Markdown."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from orchestrator.comparing.changes import Change, Scope
from orchestrator.comparing.comparison import Against, RunComparison, move_values
from orchestrator.comparing.differences import Move
from orchestrator.comparing.foreign import CAVEAT, MARK, ForeignData
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
    lines = [line for place, one in enumerate(found.others, start=1) for line in _said(found, one, letter(place))]
    lines += [sentence(CAVEAT)] if any(one.run.foreign for one in found.others) else []
    for place, one in enumerate(found.others, start=1):
        tables.append(_moves_table(found, one, letter(place)))
        sections += _sections(one, letter(place), place, tables[-1])
    return Report(
        title=f"{_verb(found)}: {words([f'{letter(place)} against A' for place in range(1, len(names))], 4)}",
        subtitle="; ".join(f"{letter(place)} is {run.name}" for place, run in enumerate(names)),
        asked=[_asked(letter(place), run) for place, run in enumerate(names)],
        found=lines,
        notices=found.notices,
        sections=sections,
        frames=_frames(found),
        printed={"moves": tables},
    )


def _verb(found: RunComparison) -> str:
    return "How they differ" if all(one.run.foreign for one in found.others) else "What moved"


def _asked(name: str, run: NamedRun) -> str:
    cells = sum(len(cells) for cells in run.data.completed.values())
    if run.foreign is not None:
        held = "metrics" if run.foreign.is_table else "scores"
        models = [printable(one) for one in run.data.variants]
        return f"{name}: {printable(run.data.run.root)}, another tool's file of {held}: {words(models, 8)}."
    return (
        f"{name}: {printable(run.data.run.root)}, {plural(cells, 'evaluated model')}, "
        f"last record of {printable(max(run.data.distinct('finished')))}."
    )


def _said(found: RunComparison, one: Against, name: str) -> list[str]:
    """What came out, in sentences; the first is the finding."""
    if one.run.foreign is not None and not one.check.same:
        return [f"{name} is a table of metrics: on which pictures is not known, so none is tested."]
    if not one.check.same:
        return [f"{name} and A were judged on other splits: their figures are not comparable, and no test is made."]
    tested = [move for move in one.moves if move.comparison is not None]
    moved = [move for move in tested if move.outcome == "moved significantly"]
    by_metric = [_moved(move) for move in moved if move.metric == found.metric]
    once = "moved" if one.run.foreign is None else "differs"
    verb = once if len(moved) == 1 else once.removesuffix("s")
    if moved:
        lines = [f"{name} against A: {count(len(moved))} of {plural(len(tested), 'figure')} {verb} significantly."]
        by_objective = "; ".join(by_metric[:MOST_SAID]) or f"nothing {once} significantly"
        lines.append(f"By {label(found.metric)}, the objective: {by_objective}.")
    else:
        lines = [f"{name} against A: none of {plural(len(tested), 'figure')} {once} significantly."]
    unchanged = sum(move.outcome == "unchanged" for move in tested)
    if unchanged:
        lines.append(f"{sentence(plural(unchanged, 'figure'))} came out the same with every seed.")
    lines.append(_may_be_concluded(found, tested))
    if one.run.foreign is not None:
        return lines
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
    return f"{_title(move)} {number(difference, signed=True)} ({move.explanation})"


def _title(move: Move) -> str:
    """What stands against what."""
    if move.other.endswith(MARK) and move.other != move.variant:
        return printable(f"{move.other} against {move.variant}")
    return printable(move.variant if move.variant == move.other else f"{move.variant} = {move.other}")


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
    if one.run.foreign is not None:
        return _foreign_sections(one, name, place, moved)
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


def _foreign_sections(one: Against, name: str, place: int, moved: Table) -> list[Section]:
    """The same of a file of another tool, of whose making nothing is known."""
    split = " ".join(one.check.differences) or (
        f"{name} answers for all {plural(one.check.common or 0, 'test picture')} of A, joined by path, and is judged "
        "by A's labels with the same metrics."
    )
    beside = f"{name} against A"
    return [
        Section(f"split-{place}", f"Same test pictures? {beside}", [split], []),
        Section(f"moves-{place}", f"How they differ: {beside}", [], [moved]),
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
    mark = "" if one.check.same else f"{'pictures not known' if one.run.foreign else 'other split'}: not comparable"
    printed = [_row(move, mark, name) for move in one.moves]
    paired = [move.comparison.difference for move in one.moves if move.comparison]
    same_pictures = any(difference.with_pictures for difference in paired)
    seeds = {difference.seeds for difference in paired}
    caption = f"Every metric on the test part, mean over seeds, in A and {name}."
    foreign = one.run.foreign
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
        if foreign:
            caption += _repeats_said(foreign, name)
        elif any(_seeds_differ(move) for move in one.moves):
            caption += " Means are over all seeds of a run and differences over those in common: they need not agree."
        if any(difference.seeds and not difference.with_pictures for difference in paired):
            caption += " Where the scores of the same pictures were not kept in both, the interval covers seeds alone"
            caption += " and no test is made."
    elif foreign:
        caption += " On which pictures the table's figures were measured is not known. No difference is formed and no"
        caption += " test is made."
    else:
        caption += " Other split: not comparable. No difference is formed and no test is made."
    columns = ["Variant", "Metric", "A", name, f"{name} − A", "p (Holm)", "Outcome"]
    if len(seeds) > 1:
        columns.append("Seeds in common")
    printed = [row[: len(columns)] for row in printed]
    caption += f" {sentence(CAVEAT)}" if foreign else ""
    return Table("moves", caption + found.first.data.caveat, columns, printed, frozenset({2, 3, 5, 7}))


def _first_splits(found: RunComparison, one: Against, name: str) -> str:
    """That only the first splits are compared, where a run has more; as a clause."""
    more = [which for which, run in (("A", found.first), (name, one.run)) if run.data.over_splits]
    return f", on the first split alone, as the other splits of {words(more)} are not in both" if more else ""


def _repeats_said(data: ForeignData, name: str) -> str:
    """How repeats of another tool stand against seeds, as sentences; empty where they pair by number."""
    seeds = {model: {cell.seed for cell in cells} for model, cells in data.completed.items()}
    alone = [printable(model) for model, its in seeds.items() if len(its) == 1]
    said = ""
    if alone:
        said = (
            f" Of {words(alone)} {name} holds one repeat, which stands against every seed of A: what another training "
            "of it would give is in no interval."
        )
    ours = [{cell.seed for cell in cells} for cells in data.beside.completed.values() if cells]
    others = [model for model, its in seeds.items() if len(its) > 1 and any(len(its & one) < 2 for one in ours)]
    if others:
        said += (
            f" Repeats of {words([printable(model) for model in others])} have other seeds, and pair in their order."
        )
    return said


def _seeds_differ(move: Move) -> bool:
    """Whether a run's mean is over other seeds than the difference."""
    if move.comparison is None or move.first is None or move.second is None:
        return False
    return {move.first.seeds, move.second.seeds} != {move.comparison.difference.seeds}


def _row(move: Move, mark: str, name: str) -> list[TableCell]:
    comparison = move.comparison
    difference = None if comparison is None else comparison.difference
    known = difference is not None and difference.seeds > 0
    tones: dict[str, Any] = {"better": "good", "worse": "bad"}
    return [
        TableCell(_title(move)),
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
        TableCell(outcome_words(move, mark, name), tone=tones.get(move.explanation, "quiet")),
        TableCell(str(difference.seeds) if difference else ""),
    ]


def _outcome(move: Move) -> str:
    """What came out; of another tool's model, which never was A's, nothing moved."""
    if not move.other.endswith(MARK):
        return move.outcome
    words_of = {"moved significantly": "differs significantly", "no significant change": "no significant difference"}
    return words_of.get(move.outcome, move.outcome)


def outcome_words(move: Move, mark: str, name: str) -> str:
    """The outcome as it is printed; `mark`: why nothing is comparable, empty where it is; `name`: the second run's
    letter."""
    if move.outcome == "only in the first":
        text = "only in A"
    elif move.outcome == "only in the second":
        text = f"only in {name}"
    else:
        text = "" if move.outcome == "not comparable" else _outcome(move)
        text += f": {move.explanation}" if move.explanation and text else ""
    return "; ".join(part for part in (text, mark) if part)


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

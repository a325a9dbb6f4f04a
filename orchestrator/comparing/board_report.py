"""The leaderboard over runs in words and tables: one description for terminal, HTML and Markdown."""

import math
from typing import Any

import pandas as pd

from orchestrator.comparing.board import Board, row_values
from orchestrator.comparing.board_ranks import Ranking
from orchestrator.comparing.data_sets import DataSet
from orchestrator.comparing.foreign import CAVEAT
from orchestrator.report.document.document import Block, Charts, Fold, Listing, Report, Section, Table, TableCell
from orchestrator.report.document.formatting import (
    count,
    duration,
    interval,
    label,
    number,
    p_value,
    plural,
    printable,
    sentence,
    words,
)
from orchestrator.report.figures.rank_figure import cd_chart
from orchestrator.report.figures.svg import drawing
from orchestrator.scoring.ranks import RankTest

MOST_SETS = 6
"""Of more data sets than these the summary does not name each one's first."""


def board_report(board: Board) -> Report:
    """The whole leaderboard."""
    tables = [_data_table(one) for one in board.sets]
    sections = [
        Section(f"data-{place}", one.label, [], [table])
        for place, (one, table) in enumerate(zip(board.sets, tables, strict=True))
    ]
    firsts = [_first_of(one) for one in board.sets[:MOST_SETS]]
    if len(board.sets) > MOST_SETS:
        firsts.append(f"The tables of {plural(len(board.sets) - MOST_SETS, 'more data set')} stand below.")
    with drawing():
        sections += [_rank_section(one, f"ranks-{place}") for place, one in enumerate(board.rankings)]
    return Report(
        title=f"Leaderboard of {_number_of(board)}",
        subtitle=f"On {words([one.label for one in board.sets], 8)}",
        asked=list(dict.fromkeys(f"{run.name}: {printable(run.data.run.root)}." for run in board.runs)),
        found=[*(_said(one) for one in board.rankings), *firsts],
        notices=board.notices,
        sections=sections,
        frames=_frames(board),
        printed={"leaderboard": tables},
    )


def _number_of(board: Board) -> str:
    """How many runs there are, and files of other tools beside them."""
    files = len({run.data.run.root for run in board.runs if run.foreign})
    runs = plural(sum(run.foreign is None for run in board.runs), "run")
    return f"{runs} and {plural(files, 'file of another tool', 'files of other tools')}" if files else runs


def _first_of(one: DataSet) -> str:
    known = [row for row in one.rows if row.estimate is not None and row.source != "metrics"]
    if not known:
        return f"{one.label}: no run has {label(one.metric)}."
    row, found = known[0], known[0].estimate
    which = "highest" if one.mode == "max" else "lowest"
    value = f"{number(found.mean)} {interval(found.low, found.high)}".rstrip() if found else ""
    who = f"{printable(row.variant)} in {row.run}"
    if len(known) == 1:
        return f"{one.label}: {who} stands alone, mean {label(one.metric)} {value}."
    return (
        f"{one.label}: of {plural(len(known), 'row')} the {which} mean {label(one.metric)} is that of {who}, {value}."
    )


def _data_table(one: DataSet) -> Table:
    best = next((row for row in one.rows if row.estimate is not None and row.source != "metrics"), None)
    printed = [
        [
            TableCell(row.run),
            TableCell(printable(row.variant), tone="strong" if row is best else ""),
            TableCell(printable(row.family)),
            TableCell(number(row.estimate.mean if row.estimate else None), tone="strong" if row is best else ""),
            TableCell("", interval(row.estimate.low, row.estimate.high) if row.estimate else ""),
            TableCell(str(row.seeds)),
            TableCell(duration(row.seconds)),
            TableCell(count(row.parameters)),
        ]
        for row in one.rows
    ]
    caption = (
        f"Mean {label(one.metric)} over seeds on the test part of {one.label} (data {printable(one.data)[:8]}, split "
        f"{printable(one.split)[:8]}), best first, with its 95 % interval. Rows are not tested against each "
        f"other here: orchestrate compare does that.{one.caveat}"
    )
    caption += _foreign_said(one)
    columns = ["Run", "Variant", "Family", label(one.metric), "95 % interval", "Seeds", "Time a seed", "Parameters"]
    return Table("leaderboard", caption, columns, printed, frozenset({3, 5, 6, 7}))


def _foreign_said(one: DataSet) -> str:
    """What the caption says of rows that other tools made, as sentences; empty where there is none."""
    said = f" {sentence(CAVEAT)}" if any(row.foreign for row in one.rows) else ""
    tables = [printable(row.variant) for row in one.rows if row.source == "metrics"]
    if tables:
        said += f" On which pictures {words(tables)} {'was' if len(tables) == 1 else 'were'} measured is not known: the"
        said += " other tool brought the figures."
    return said


def _said(ranking: Ranking) -> str:
    """The finding of the ranks, or why there is none."""
    test = ranking.test
    if test is None:
        return ranking.reason
    first, rank = next(iter(test.ranks.items()))
    over = f"{plural(len(test.methods), 'variant')} on {plural(test.blocks, 'data set')}"
    if not test.significant:
        p = f" ({_p(test)})" if math.isfinite(test.p) else ""
        return (
            f"Ranks of {over}: Friedman's test finds no difference{p}. The best average rank is {first}'s, "
            f"{number(rank, 2)}; it can't be told from the others."
        )
    beaten = [name for name, other in test.ranks.items() if other - rank > test.critical_difference]
    tail = (
        f"{first} (average rank {number(rank, 2)}) ranks significantly above {words(beaten)}"
        if beaten
        else f"no pair with {first}, the best, is told apart"
    )
    return f"Ranks of {over}: they differ (Friedman, {_p(test)}); by Nemenyi's test {tail}."


def _p(test: RankTest) -> str:
    printed = p_value(test.p)
    return f"p {printed}" if printed.startswith("<") else f"p = {printed}"


def _rank_section(ranking: Ranking, key: str) -> Section:
    title = f"Ranks over data sets: {ranking.task}"
    if ranking.test is None:
        return Section(key, title, [ranking.reason], [Listing(ranking.remarks)] if ranking.remarks else [])
    test = ranking.test
    blocks: list[Block] = [
        _rank_table(test),
        Listing([*_groups(test), *ranking.remarks]),
        Charts([cd_chart(test, key)]),
        Fold("The figures behind the ranks", [_figure_table(ranking, test)]),
    ]
    return Section(key, title, [_how(test)], blocks)


def _how(test: RankTest) -> str:
    f = "∞" if test.f == math.inf else number(test.f, 2)
    degrees = f"({len(test.methods) - 1}, {(len(test.methods) - 1) * (test.blocks - 1)})"
    small = " With so few data sets the test shows only very steady orders." if test.blocks < 10 else ""
    return (
        "A variant of the same name and family counts as one over data sets; the blocks are data sets, not seeds. "
        f"Friedman's χ² = {number(test.chi2, 2)} (corrected for ties), Iman and Davenport's F{degrees} = {f}, "
        f"{_p(test)}. Nemenyi's critical difference at .05 is {number(test.critical_difference, 2)} ranks."
        f"{small}"
    )


def _groups(test: RankTest) -> list[str]:
    """Which can't be told apart, in words."""
    if not test.significant:
        return ["Not told apart: all of them, since Friedman's test finds no difference."]
    if not test.groups:
        return ["Every pair differs significantly."]
    return [f"Not told apart: {words(list(group), 20)}." for group in test.groups]


def _rank_table(test: RankTest) -> Table:
    caption = f"Average rank over {plural(test.blocks, 'data set')}: 1 is best, equal figures share their mean rank."
    rows = [[TableCell(name), TableCell(number(rank, 2))] for name, rank in test.ranks.items()]
    return Table("ranks", caption, ["Variant", "Average rank"], rows, frozenset({1}))


def _figure_table(ranking: Ranking, test: RankTest) -> Table:
    """What is ranked: a row a data set, the variants by rank."""
    rows = [
        [TableCell(name), *(TableCell(number(ranking.figures[method][place])) for method in test.ranks)]
        for place, name in enumerate(ranking.data_sets)
    ]
    caption = f"What is ranked: mean {label(ranking.metric)} on the test part of each data set."
    return Table("leaderboard", caption, ["Data set", *test.ranks], rows, frozenset(range(1, len(test.ranks) + 1)))


def _frames(board: Board) -> dict[str, pd.DataFrame]:
    """The full numbers: a CSV each."""
    rows: list[dict[str, Any]] = [
        {"data_set": one.label, "data": one.data, "split": one.split, "task": one.task, "metric": one.metric}
        | row_values(row)
        for one in board.sets
        for row in one.rows
    ]
    ranks = [
        {"task": one.task, "variant": name, "average_rank": rank, "data_sets": one.test.blocks,
         "critical_difference": one.test.critical_difference, "chi2": one.test.chi2, "f": one.test.f, "p": one.test.p}
        for one in board.rankings
        if one.test is not None
        for name, rank in one.test.ranks.items()
    ]  # fmt: skip
    pairs = [
        [one.task, first, second, float(one.test.pairs[row, column])]
        for one in board.rankings
        if one.test is not None
        for row, first in enumerate(one.test.ranks)
        for column, second in enumerate(one.test.ranks)
        if row < column
    ]
    frame = pd.DataFrame(rows)
    frame["parameters"] = frame["parameters"].astype("Int64")
    frames = {"leaderboard": frame}
    if ranks:
        frames |= {
            "ranks": pd.DataFrame(ranks),
            "nemenyi": pd.DataFrame(pairs, columns=["task", "first", "second", "p"]),
        }
    return frames

"""Many runs to one leaderboard: a ranking a data set and split, and ranks over the data sets."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.comparing.board_ranks import Ranking, rank_boards
from orchestrator.comparing.data_sets import BoardRow, DataSet
from orchestrator.comparing.differences import Cells, estimated
from orchestrator.comparing.foreign import FAMILY
from orchestrator.comparing.foreign_reading import DATA_SET
from orchestrator.comparing.foreign_table import NotOfThisRun, may_be_foreign
from orchestrator.comparing.plain_values import plain
from orchestrator.comparing.reading import NamedRun, names_of, read_beside, read_usable
from orchestrator.report.document.formatting import printable, words
from orchestrator.report.numbers.measured import standings
from orchestrator.scoring.metric_table import default_metric
from trainables.errors import InputError
from trainables.files import json_sha256
from trainables.interface import Task

Groups = dict[tuple[str, str, Task], list[NamedRun]]
"""By data, split and task, what was judged on them."""


@dataclass(frozen=True)
class Board:
    """The whole leaderboard."""

    runs: tuple[NamedRun, ...]
    sets: tuple[DataSet, ...]
    rankings: tuple[Ranking, ...]
    """One a task."""
    notices: tuple[str, ...]


def read_board(paths: Sequence[Path], metric: str | None = None) -> Board:
    """Every evaluated variant of every run, and the models of other tools' files among them.

    `metric`: to rank by; the runs' own objective where it is None.

    InputError where no folder holds figures, records can't be read, or no run knows the metric.
    """
    files = [path for path in paths if may_be_foreign(path)]
    runs, notices = read_usable([path for path in paths if path not in files])
    groups: Groups = {}
    for run in runs:
        cells = [cell for of_variant in run.data.completed.values() for cell in of_variant]
        judged = {(cell.provenance.data, cell.provenance.split) for cell in cells}
        if len(judged) > 1:
            notices.append(f"{run.name} is left out: its cells were judged on {len(judged)} splits or data sets.")
            continue
        judged_on, split = judged.pop()
        if run.data.over_splits:
            # Figures over several splits are no more comparable with those of one than those of another split.
            split = json_sha256([one.split.get("fingerprint") for one in run.data.evaluated_splits])[:32]
            notices.append(f"{run.name}: figures are over {len(run.data.evaluated_splits)} splits.")
        groups.setdefault((judged_on, split, run.data.task), []).append(run)
    kept = [run for members in groups.values() for run in members]
    if not kept:
        raise InputError(f"No run can be ranked. {' '.join(notices)}")
    metrics = _metrics(kept, metric, notices)
    labels = _labels(groups)
    for path, name in zip(files, names_of(files), strict=True):
        for key, foreign in _places_of(path, name, groups, labels, notices).items():
            groups[key].append(foreign)
            kept.append(foreign)
    sets = tuple(
        _data_set(labels[key], key, members, metrics[key[2]]) for key, members in sorted(groups.items(), key=_place)
    )
    for run in kept:
        notices += run.notices
    tasks = dict.fromkeys(one.task for one in sets)
    rankings = tuple(rank_boards([one for one in sets if one.task == task]) for task in tasks)
    return Board(tuple(kept), sets, rankings, tuple(notices))


def board_json(board: Board) -> dict[str, Any]:
    """Everything as plain JSON values; what is not known is null."""
    sets = [
        {
            "label": one.label, "data": one.data, "split": one.split, "task": one.task, "metric": one.metric,
            "mode": one.mode, "rows": [row_values(row) for row in one.rows],
        }
        for one in board.sets
    ]  # fmt: skip
    values = {"data_sets": sets, "ranks": [_ranking_values(one) for one in board.rankings], "notices": board.notices}
    result: dict[str, Any] = plain(values)
    return result


def row_values(row: BoardRow) -> dict[str, Any]:
    """One row in full numbers, as JSON and CSV have it."""
    found = row.estimate
    return {
        "run": row.root,
        "variant": row.variant,
        "family": row.family,
        "mean": None if found is None else found.mean,
        "low": None if found is None else found.low,
        "high": None if found is None else found.high,
        "seeds": row.seeds,
        "seconds": row.seconds,
        "parameters": row.parameters,
        "foreign": row.foreign,
    }


def _ranking_values(ranking: Ranking) -> dict[str, Any]:
    test = ranking.test
    values: dict[str, Any] = {
        "task": ranking.task, "metric": ranking.metric, "data_sets": ranking.data_sets, "reason": ranking.reason,
        "remarks": ranking.remarks, "test": None,
    }  # fmt: skip
    if test is not None:
        names = list(test.ranks)
        values["test"] = {
            "average_ranks": test.ranks,
            "friedman": {"chi2": test.chi2, "f": test.f, "p": test.p, "significant": test.significant},
            "nemenyi": {
                "critical_difference": test.critical_difference,
                "pairs": [
                    {"first": names[one], "second": names[other], "p": float(test.pairs[one, other])}
                    for one in range(len(names))
                    for other in range(one + 1, len(names))
                ],
            },
            "groups": test.groups,
            "figures": {name: dict(zip(ranking.data_sets, row, strict=True)) for name, row in ranking.figures.items()},
        }
    return values


def _metrics(runs: Sequence[NamedRun], asked: str | None, notices: list[str]) -> dict[Task, str]:
    """By task, what is ranked by."""
    chosen: dict[Task, str] = {}
    for task in dict.fromkeys(run.data.task for run in runs):
        ours = [run for run in runs if run.data.task == task]
        known = {name for run in ours for name in run.data.metrics}
        objectives = Counter(run.data.metric for run in ours)
        if asked is not None:
            if asked in known:
                chosen[task] = asked
            else:
                notices.append(f"No run of {task} has {printable(asked)}: they are ranked by another metric.")
        if task not in chosen:
            default = default_metric(task)
            first = next(iter(objectives))
            chosen[task] = first if len(objectives) == 1 or default not in known else default
            if len(objectives) > 1:
                listed = words([printable(name) for name in objectives])
                notices.append(
                    f"The runs of {task} have other objectives ({listed}); all are ranked by {printable(chosen[task])}."
                )
    if asked is not None and asked not in chosen.values():
        everything = sorted({name for run in runs for name in run.data.metrics})
        raise InputError(
            f"--metric {printable(asked)}: no run has it. The runs have "
            f"{words([printable(name) for name in everything], 30)}."
        )
    return chosen


def _labels(groups: Groups) -> dict[tuple[str, str, Task], str]:
    """What each data set is called: its folder's name, with as much as tells it from others of that name."""
    named = {key: members[0].data_name for key, members in groups.items()}
    labels = {}
    for key, name in named.items():
        twins = [other for other, its in named.items() if its == name and other != key]
        data, split, task = key
        parts = [f"data {printable(data)[:8]}"] if any(other[0] != data for other in twins) else []
        parts += (
            [f"split {printable(split)[:8]}"] if any(other[0] == data and other[1] != split for other in twins) else []
        )
        parts += [task] if any(other[:2] == key[:2] for other in twins) else []
        labels[key] = f"{name} ({', '.join(parts)})" if parts else name
    return labels


def _places_of(
    path: Path, name: str, groups: Groups, labels: dict[tuple[str, str, Task], str], notices: list[str]
) -> dict[tuple[str, str, Task], NamedRun]:
    """Where a file of another tool stands: on each split whose test part it covers. InputError where that is on none,
    or, by the same rows, on several data sets."""
    found: dict[tuple[str, str, Task], NamedRun] = {}
    refused: list[NotOfThisRun] = []
    for key, members in groups.items():
        runs = [run for run in members if run.foreign is None]
        if runs[0].data.over_splits:
            why = f"{name} does not stand on {labels[key]}: figures there are over several splits, and a file's of one."
            refused.append(NotOfThisRun(why))
            notices.append(why)
            continue
        try:
            found[key] = read_beside(path, name, *runs, label=labels[key])
        except NotOfThisRun as error:
            refused.append(error)
    if not found:
        raise (
            refused[0]
            if len(refused) == 1
            else InputError(f"{name} stands on none of the data sets: " + " ".join(f"{error}" for error in refused))
        )
    data = [run.foreign for run in found.values() if run.foreign is not None]
    shared = any(one.rows & other.rows for one, other in itertools.combinations(data, 2))
    if shared and len({key[0] for key in found}) > 1:
        raise InputError(
            f"{name} may be of {words([labels[key] for key in found])}: their pictures have the same paths, or the "
            f"file names none. Give it a column `{DATA_SET}` with one of these names in each row."
        )
    notices += [f"{name} is left out where it lacks test pictures: {error}" for error in refused if error.covered]
    return found


def _place(entry: tuple[tuple[str, str, Task], list[NamedRun]]) -> tuple[str, str, str, str]:
    (data, split, task), members = entry
    return task, members[0].data_name, data, split


def _data_set(label: str, key: tuple[str, str, Task], members: Sequence[NamedRun], metric: str) -> DataSet:
    data, split, task = key
    mode = members[0].data.mode_of(metric)
    rows = [
        BoardRow(
            run.name,
            str(run.data.run.root),
            standing.variant,
            standing.family,
            standing.estimates.get(metric),
            len(standing.seeds),
            standing.seconds,
            standing.parameters,
        )
        for run in members
        if run.foreign is None
        for standing in standings(run.data)
        if standing.seeds
    ]
    rows += [row for run in members for row in _foreign_rows(run, metric)]
    sign = -1 if mode == "max" else 1
    rows.sort(key=lambda row: (row.estimate is None, sign * row.estimate.mean if row.estimate else 0.0))
    return DataSet(label, data, split, task, metric, mode, tuple(rows), members[0].data.caveat)


def _foreign_rows(run: NamedRun, metric: str) -> list[BoardRow]:
    """The models of another tool's file; none of a run."""
    if run.foreign is None:
        return []
    cells = Cells(run)
    return [
        BoardRow(
            run.name, str(run.data.run.root), model, FAMILY, estimated(cells, model, metric), len(cells.records(model)),
            None, None, "metrics" if run.foreign.is_table else "scores",
        )
        for model in run.data.variants
    ]  # fmt: skip

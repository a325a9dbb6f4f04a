"""Several runs, and files of other tools, to one answer: what moved, or one ranking; as text, values, tables, pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.comparing.board import board_json, read_board
from orchestrator.comparing.board_report import board_report
from orchestrator.comparing.comparison import comparison_json, read_comparison
from orchestrator.comparing.comparison_report import comparison_report
from orchestrator.comparing.reading import NamedRun
from orchestrator.report.document.document import Report
from orchestrator.report.document.formatting import labelled, printable
from orchestrator.report.document.plain_text import to_text
from orchestrator.report.folder import write_folder
from trainables.errors import InputError

Paths = Sequence[str | Path]


@dataclass(frozen=True)
class Compared:
    """What came out of several runs."""

    values: dict[str, Any]
    """Everything as plain JSON values; what is not known is None."""
    frames: dict[str, pd.DataFrame]
    """The tables' full numbers by name: `moves` and `changes`, or `leaderboard`, and of ranks `ranks` and `nemenyi`."""
    text: str
    """For a terminal."""
    page: Path | None
    """Of the folder that it was written to; None: to none."""


def compare_runs(
    runs: Paths,
    *,
    match: Sequence[str] = (),
    metric: Sequence[str] = (),
    mark: bool = False,
    out: str | Path | None = None,
) -> Compared:
    """What moved between runs, each against the first, and whether significantly; paired by seed.

    `runs`: folders of runs, two or more; of those after the first also files of another tool (CSV, TSV, parquet), which
    hold a model's answers by `path`, or its metrics: each of its models stands against each variant of the first run,
    marked as foreign, and is tested where it answers for the same test pictures. `match`: NAME=NAME, a variant of the
    first and what it is called in the others. `metric`: only these, which leaves fewer tests to correct for. `mark`:
    where the splits differ, give the figures without any test instead of refusing. `out`: a folder that gets page,
    text, tables and figures. InputError for runs that can't be read or compared, and where `out` can't be written.
    """
    found = read_comparison(_folders(runs), mark=mark, matches=match, metrics=metric)
    read = [found.first, *(one.run for one in found.others)]
    with labelled(own for run in read for own in run.data.own_metrics):
        return _compared(comparison_report(found), comparison_json(found), read, out)


def leaderboard(runs: Paths, *, metric: str | None = None, out: str | Path | None = None) -> Compared:
    """The variants of many runs, ranked: a table a data set and split.

    Where three variants stand on three data sets: average ranks, Friedman's test and Nemenyi's critical difference.
    Files of another tool, as in `compare_runs`, stand among the runs that were judged on the pictures they cover,
    marked as foreign. `metric`: what is ranked by; unset, the runs' objective. `out` as in `compare_runs`. InputError
    where no folder is a run with figures; what is none is left out and named.
    """
    board = read_board(_folders(runs), metric)
    with labelled(own for run in board.runs for own in run.data.own_metrics):
        return _compared(board_report(board), board_json(board), board.runs, out)


def _folders(runs: Paths) -> list[Path]:
    if isinstance(runs, str | Path):
        raise InputError(f"Of runs a list is taken; got {str(runs)!r} alone.")
    return [Path(run) for run in runs]


def _compared(report: Report, values: dict[str, Any], runs: Sequence[NamedRun], out: str | Path | None) -> Compared:
    page = None if out is None else _write(report, Path(out), runs)
    return Compared(values, report.frames, to_text(report), page)


def _write(report: Report, out: Path, runs: Sequence[NamedRun]) -> Path:
    """Write the report to a folder of the user's, of which nothing else is touched; the path of its page."""
    for run in runs:
        if out.expanduser().resolve().is_relative_to(run.data.run.root.resolve()):
            raise InputError(
                f"--out {printable(out)} lies in the folder of the run {run.name}, whose own report would be "
                "overwritten. Give a folder outside of the runs."
            )
    try:
        return write_folder(report, out.expanduser().absolute())
    except OSError as error:
        raise InputError(
            f"The comparison can't be written to {printable(out)}: {error.strerror or error}. Make room there or "
            "change its permissions, or give another folder with --out."
        ) from None

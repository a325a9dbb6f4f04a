"""The commands over several runs: `orchestrate compare` and `orchestrate leaderboard`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.options import Json

Out = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Write index.html, report.md, tables and figures here.")
]


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_A RUN_B ...", help="Folders of runs; the first is A.")],
    match: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NAME", help="A variant of A and what it is called in the others. Repeatable."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Compare this metric only, which leaves fewer tests. Repeatable.")
    ] = None,
    mark: Annotated[
        bool, typer.Option("--mark", help="Show runs of other splits too, marked as not comparable and without tests.")
    ] = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Say what moved between runs, and whether significantly.

    Checks first that they were judged on the same split; then what changed, then every metric, paired by seed.
    """
    from orchestrator.comparing.comparison import compare_runs, comparison_json
    from orchestrator.comparing.comparison_report import comparison_report

    found = compare_runs(runs, mark=mark, matches=match or (), metrics=metric or ())
    read = [found.first, *(one.run for one in found.others)]
    _print_report(comparison_report(found), comparison_json(found), read, out, as_json)


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN ...", help="Folders of runs, such as runs/*.")],
    metric: Annotated[str | None, typer.Option(help="Rank by this metric; unset: by the runs' objective.")] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Rank the variants of many runs, a table a data set and split.

    Where three variants stand on three data sets: average ranks, Friedman's test and Nemenyi's critical difference.
    """
    from orchestrator.comparing.board import board_json, read_board
    from orchestrator.comparing.board_report import board_report

    board = read_board(runs, metric)
    _print_report(board_report(board), board_json(board), board.runs, out, as_json)


def _print_report(report: Any, values: dict[str, Any], runs: Any, out: Path | None, as_json: bool) -> None:
    """Print a report over runs as text or JSON, and write it to a folder where one is given."""
    from orchestrator.comparing.plain_text import to_text
    from orchestrator.comparing.writing import check_out, write_folder

    page = None
    if out is not None:
        check_out(out, runs)
        page = write_folder(report, out)
    if as_json:
        typer.echo(json.dumps({**values, "report": None if page is None else str(page)}, indent=2, allow_nan=False))
    else:
        typer.echo(to_text(report) + (f"\nReport: {page}" if page else ""))

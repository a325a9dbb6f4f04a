"""The commands over several runs: `orchestrate compare` and `orchestrate leaderboard`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import Json
from trainables.printing import printable_lines

if TYPE_CHECKING:
    from orchestrator.comparing.compared import Compared

Out = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Write index.html, report.md, tables and figures here.")
]


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_A RUN_OR_FILE ...",
            help="Folders of runs; the first is A. After it also CSV, TSV or parquet files of another tool.",
        ),
    ],
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
    A file of another tool holds path and score, or path and a column a class, or metrics.
    """
    from orchestrator.comparing.compared import compare_runs

    _print(compare_runs(runs, match=match or (), metric=metric or (), mark=mark, out=out), as_json)


def leaderboard(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_OR_FILE ...", help="Folders of runs, such as runs/*, and files of another tool."),
    ],
    metric: Annotated[str | None, typer.Option(help="Rank by this metric; unset: by the runs' objective.")] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Rank the variants of many runs, a table a data set and split.

    Where three variants stand on three data sets: average ranks, Friedman's test and Nemenyi's critical difference.
    """
    from orchestrator.comparing.compared import leaderboard as rank

    _print(rank(runs, metric=metric, out=out), as_json)


def _print(found: "Compared", as_json: bool) -> None:
    """Print what came out of several runs as text or JSON, and where it was written."""
    if as_json:
        report = None if found.page is None else str(found.page)
        typer.echo(json.dumps({**found.values, "report": report}, indent=2, allow_nan=False))
    else:
        typer.echo(printable_lines(found.text + (f"\nReport: {found.page}" if found.page else "")))

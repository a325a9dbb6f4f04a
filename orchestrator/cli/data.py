"""The commands on data alone: `orchestrate inspect` and `orchestrate render`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Json, Quiet, Strict
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.data.plotting.plot_style import STYLES
from orchestrator.machine.progress import Reporter
from trainables.printing import printable_lines


def inspect(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The folder of the data.")],
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(LAYOUTS), help="How the folder lies; unset: guessed by the names of folders and files."
        ),
    ] = None,
    normal: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Detection on class folders: the normal class.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="RE", help=r"The source picture in a file's stem, such as '^(.*)_\d+_\d+$'."),
    ] = None,
    sheet: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Write a contact sheet here.")] = None,
    as_json: Json = False,
) -> None:
    """Show what is understood of a folder of data.

    Layout, classes, parts, sizes, duplicates and near-duplicates, masks, what is left out, and the split that default
    settings give.
    """
    from orchestrator.data.inspect.inspection import inspect as look
    from orchestrator.data.inspect.inspection_text import inspection_json, inspection_text

    seen = look(data, layout=layout, normal=normal, group=group, sheet=sheet)
    typer.echo(json.dumps(inspection_json(seen), indent=2) if as_json else printable_lines(inspection_text(seen)))


def render(
    csvs: Annotated[list[Path], typer.Argument(metavar="CSVS...", help="A folder of CSVs, of any tree, or files.")],
    out: Annotated[Path, typer.Option("--out", metavar="STORE", help="The folder of the pictures' store.")],
    style: Annotated[
        str,
        typer.Option(
            help="; ".join(f"{name}: {row.summary}" for name, row in STYLES.items()) + "; or path/file.py:STYLE."
        ),
    ] = "seed",
    size: Annotated[
        str,
        typer.Option(
            metavar="N|HxW|full", help="Pixels a side, or full (seed about 790x590, cut tight; plain 800x600)."
        ),
    ] = "224",
    png: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write PNG files here as well.")] = None,
    column: Annotated[str | None, typer.Option(help="The column to plot; unset: data, else value, else first.")] = None,
    gaps: Annotated[
        str,
        typer.Option(
            metavar="drop|break|interpolate",
            help="Rows without a number: drop (the rest moves left), break, interpolate.",
        ),
    ] = "drop",
    decimal: Annotated[
        str, typer.Option(metavar="auto|point|comma", help="The decimal mark, where numbers leave it in doubt.")
    ] = "auto",
    strict: Strict = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Render CSVs to a store of plots.

    What is rendered already is not rendered again.
    """
    from orchestrator.data.fill.render_tree import render as draw
    from orchestrator.data.picture_size import parse_size

    result = draw(
        csvs,
        out,
        style=style,
        size=parse_size(size),
        column=column,
        gaps=gaps,
        decimal=decimal,
        png=png,
        strict=strict,
        reporter=Reporter(quiet),
    )
    typer.echo(json.dumps(result.as_dict(), indent=2) if as_json else printable_lines(result.text()))

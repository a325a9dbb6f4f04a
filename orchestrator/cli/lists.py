"""The commands that print what an experiment's file may name: `families`, `metrics`."""

import json
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.options import Json

if TYPE_CHECKING:
    from orchestrator.experiment.lists import Listed

WIDTH = 100


def families(as_json: Json = False) -> None:
    """List the families of models.

    What each is for and what it is; those of installed packages too.
    """
    from orchestrator.experiment.lists import list_families

    _print(list_families(), "family: path/to/file.py:FAMILY", as_json)


def metrics(as_json: Json = False) -> None:
    """List metrics and threshold strategies.

    What each says, and which way it is better; those of installed packages too.
    """
    from orchestrator.experiment.lists import list_metrics

    _print(list_metrics(), "objective.metric: path/to/file.py:METRIC", as_json)


def _print(rows: Sequence["Listed"], own: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([vars(row) for row in rows], indent=2, ensure_ascii=False))
        return
    names, kinds = (max(map(len, column)) for column in zip(*((row.name, row.kind) for row in rows), strict=True))
    indent = " " * (names + kinds + 4)
    for row in rows:
        head = f"{row.name:<{names}}  {row.kind:<{kinds}}  "
        typer.echo(textwrap.fill(row.text, WIDTH, initial_indent=head, subsequent_indent=indent))
    typer.echo(f"One of your own, in the experiment: {own}")

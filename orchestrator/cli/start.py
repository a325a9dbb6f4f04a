"""The commands before there is a run: `init`, `schema`, `doctor`."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Json
from orchestrator.data.layouts.table import LAYOUTS


def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The experiment file to write, such as experiment.yaml.")
    ],
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the file that fits the data in this folder.")
    ] = None,
    layout: Annotated[
        str | None, typer.Option(metavar="|".join(LAYOUTS), help="With --data: how the folder lies; unset: guessed.")
    ] = None,
    normal: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="With --data: class folders' normal class, for detection; unset: guessed."),
    ] = None,
) -> None:
    """Write a commented starter experiment.

    Without --data it runs on a folder of CSVs; with it, on that folder: task, layout, families and sizes fit it.
    """
    from orchestrator.experiment.starter import write_starter

    for line in write_starter(file, data=data, layout=layout, normal=normal):
        typer.echo(line)
    first = "" if data is not None else " Set data.path in it, then:"
    typer.echo(f"Wrote {file}.{first or ' Run it:'} orchestrate sweep {shlex.quote(str(file))} --out runs/first")


def schema() -> None:
    """Print the experiment file's JSON schema.

    For editors that complete and check YAML.
    """
    from orchestrator.experiment.experiment import schema as read

    typer.echo(json.dumps(read(), indent=2))


def doctor(as_json: Json = False) -> None:
    """Say what this machine offers and what won't work.

    CPUs, GPUs, memory, Ray, disk, pretrained weights.
    """
    from orchestrator.machine.doctor import doctor as examine
    from orchestrator.machine.doctor import findings_text

    findings = examine()
    typer.echo(json.dumps(findings.model_dump(), indent=2) if as_json else findings_text(findings))
    if not findings.works:
        raise typer.Exit(1)

"""The commands before there is a run: `init`, `schema`, `doctor`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Json


def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The experiment file to write, such as experiment.yaml.")
    ],
) -> None:
    """Write a commented starter experiment.

    It runs as it stands on a folder of CSVs.
    """
    from orchestrator.experiment.starter import write_starter

    write_starter(file)
    typer.echo(f"Wrote {file}. Set data.path in it, then: orchestrate sweep {file} --out runs/first")


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

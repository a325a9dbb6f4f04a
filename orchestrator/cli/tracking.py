"""The commands that show a run's curves elsewhere: `track`, `dashboard`."""

import json
from typing import Annotated

import typer

from orchestrator.cli.options import Json, Quiet, RunArgument
from orchestrator.machine.progress import Reporter


def track(
    run_folder: RunArgument,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's files to RUN.")] = False,
    mlflow: Annotated[
        str | None, typer.Option(metavar="URI", help="An MLflow server or database: http://HOST:5000, sqlite:///FILE.")
    ] = None,
    wandb: Annotated[str | None, typer.Option(metavar="PROJECT", help="A wandb project, or ENTITY/PROJECT.")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Send a run to TensorBoard, MLflow or wandb.

    An epoch a step, a trial or seed a run; with none named, to those of its experiment. Nothing is sent twice.
    """
    from orchestrator.tracking.track import track as send

    sent = send(run_folder, tensorboard=tensorboard, mlflow=mlflow, wandb=wandb, reporter=Reporter(quiet))
    if as_json:
        typer.echo(json.dumps(sent, indent=2))
    else:
        for name, count in sent.items():
            typer.echo(f"{name}: {count} trainings sent now; it has all of them.")


def dashboard(
    run_folder: RunArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes any that is free.")] = 8080,
    quiet: Quiet = False,
) -> None:
    """Show a run's searches in optuna-dashboard.

    On this machine alone, all studies at once, until Ctrl-C. The run is only read.
    """
    from orchestrator.tracking.dashboard import dashboard as show

    show(run_folder, port=port, reporter=Reporter(quiet))

"""The `orchestrate` command: its subcommands, and what its exit code says."""

import sys
from typing import Annotated

import typer

from orchestrator.cli.cache import cache
from orchestrator.cli.data import inspect, render
from orchestrator.cli.export import export
from orchestrator.cli.launch import launch
from orchestrator.cli.lists import families, metrics
from orchestrator.cli.live import stream, watch
from orchestrator.cli.refit import refit
from orchestrator.cli.runs import ablate, demo, evaluate, plan, report, status, sweep
from orchestrator.cli.several_runs import compare, leaderboard
from orchestrator.cli.start import doctor, init, schema
from orchestrator.cli.tracking import dashboard, track
from orchestrator.cli.using import predict
from trainables.errors import InputError
from trainables.printing import printable_lines

app = typer.Typer(
    name="orchestrate",
    help="Compare families of anomaly models fairly: one file describes the experiment, one command runs it.",
    epilog="Start here: orchestrate init experiment.yaml --data DATA, then orchestrate sweep experiment.yaml --out "
    "runs/first. Something to look at: orchestrate demo.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# In the order of use, which is that of --help.
for command in (
    *(init, inspect, plan, sweep, status, evaluate, report, ablate, compare, leaderboard),
    *(predict, watch, stream, export, refit, track, dashboard, render, families, metrics, schema, doctor, demo),
):
    app.command()(command)
app.add_typer(launch, name="launch")
app.add_typer(cache, name="cache")


def _print_version(asked: bool) -> None:
    """One line on what is installed; nothing of it is imported."""
    if not asked:
        return
    from orchestrator.artifacts.provenance import DISTRIBUTION, package_version, package_versions

    found = package_versions()
    named = {"Python": "python", "torch": "torch", "Ray": "ray"}
    parts = [f"{name} {found.get(key, 'not installed')}" for name, key in named.items()]
    typer.echo(", ".join([f"{DISTRIBUTION} {package_version()}", *parts]))
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say what is installed, and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """The entry point: 0 for success, 2 for bad input, 130 and 143 for Ctrl-C and SIGTERM, 1 for anything else."""
    try:
        app()
    except InputError as error:
        typer.echo(f"Error: {printable_lines(str(error))}", err=True)
        sys.exit(2)

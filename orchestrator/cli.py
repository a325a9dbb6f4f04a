"""The `orchestrate` command: each subcommand calls one function."""

import json
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.comparing.commands import compare, leaderboard
from orchestrator.data.commands import inspect, render
from orchestrator.options import Json, Quiet, RunArgument, Set, Strict
from orchestrator.progress import Reporter
from trainables.errors import InputError

app = typer.Typer(
    name="orchestrate",
    help="Compare families of anomaly models fairly: one file describes the experiment, one command runs it.",
    epilog="Start here: orchestrate init experiment.yaml, then orchestrate sweep experiment.yaml --out runs/first",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Stage(StrEnum):
    """Where a sweep may end."""

    render = "render"
    search = "search"
    evaluate = "evaluate"
    report = "report"


@app.command()
def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The experiment file to write, such as experiment.yaml.")
    ],
) -> None:
    """Write a commented starter experiment.

    It runs as it stands on a folder of CSVs.
    """
    from orchestrator.starter import write_starter

    write_starter(file)
    typer.echo(f"Wrote {file}. Set data.path in it, then: orchestrate sweep {file} --out runs/first")


@app.command()
def schema() -> None:
    """Print the experiment file's JSON schema.

    For editors that complete and check YAML.
    """
    from orchestrator.experiment import Experiment

    typer.echo(json.dumps(Experiment.model_json_schema(), indent=2))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine offers and what won't work.

    CPUs, GPUs, memory, Ray, disk, pretrained weights.
    """
    from orchestrator.doctor import examine, render_findings

    findings = examine()
    typer.echo(json.dumps(findings.model_dump(), indent=2) if as_json else render_findings(findings))
    if not findings.works:
        raise typer.Exit(1)


app.command()(inspect)
app.command()(render)


@app.command()
def sweep(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT.yaml", help="The experiment file.")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The folder of this run; made if absent.")],
    overrides: Set = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that RUN holds, if it holds one.")
    ] = False,
    until: Annotated[Stage, typer.Option(help="Stop after this stage; --resume goes on from there.")] = Stage.report,
    strict: Strict = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run an experiment, from CSVs to the report.

    Renders, searches every family, evaluates the winners on test, writes the report.
    """
    from orchestrator.experiment import Experiment

    loaded = Experiment.load(experiment, tuple(overrides or ()))
    from orchestrator.sweep import run

    reporter = Reporter(quiet)
    folder = _interruptible(
        lambda: run(loaded, out, resume=resume, until=until.value, strict=strict, reporter=reporter), out
    )
    _print_result(folder, as_json, evaluated=until in (Stage.evaluate, Stage.report))


@app.command()
def ablate(
    experiment: Annotated[
        Path, typer.Argument(metavar="EXPERIMENT.yaml", help="The experiment file, with `ablation:` in it.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="RUN", help="The folder of the run; made if absent, gone on with if there.")
    ],
    overrides: Set = None,
    strict: Strict = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run an experiment's ablation.

    One configuration and what is changed of it, each with every seed. Only what no record has yet is run.
    """
    from orchestrator.experiment import Experiment

    loaded = Experiment.load(experiment, tuple(overrides or ()))
    from orchestrator.sweep import ablate as run

    reporter = Reporter(quiet)
    folder = _interruptible(lambda: run(loaded, out, strict=strict, reporter=reporter), out)
    _print_result(folder, as_json, evaluated=True)


@app.command()
def evaluate(run_folder: RunArgument, quiet: Quiet = False, as_json: Json = False) -> None:
    """Evaluate the winners of a searched run on test.

    Each is trained with every seed, frozen, and then scored on the test part once.
    """
    _go_on(run_folder, "evaluate", quiet, as_json)


@app.command()
def report(
    run_folder: RunArgument,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Write every figure as PDF, PNG and SVG, too; takes longer.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Write the report of a run as it stands."""
    from orchestrator.run_folder import RunFolder
    from orchestrator.sweep import report as write

    folder = RunFolder(run_folder.expanduser().absolute())
    write(folder, figures)
    _print_result(folder, as_json)


@app.command()
def status(run_folder: RunArgument, as_json: Json = False) -> None:
    """Say how a run stands.

    While it works, after it died, or from another machine that sees its folder.
    """
    from orchestrator.run_folder import RunFolder
    from orchestrator.status import status_of, status_text
    from orchestrator.sweep import experiment_of

    folder = RunFolder(run_folder.expanduser().absolute())
    found = status_of(folder, experiment_of(folder))
    typer.echo(json.dumps(found, indent=2) if as_json else status_text(found))


app.command()(compare)
app.command()(leaderboard)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The folder of the demo's run.")] = Path("demo-run"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare two families on made-up series.

    Nine classes of 100 series; ends with the leaderboard and the report's path. Two to three minutes on two free cores.
    """
    from orchestrator.demo import run_demo

    reporter = Reporter(quiet)
    _print_result(_interruptible(lambda: run_demo(out, reporter), out), as_json)


def main() -> None:
    """The entry point: 0 for success, 2 for bad input, 130 and 143 for Ctrl-C and SIGTERM, 1 for anything else."""
    try:
        app()
    except InputError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)


def _interruptible(work: Callable[[], Any], out: Path) -> Any:
    """Do the work; where Ctrl-C or SIGTERM ends it, say how to go on, with the exit code that a shell gives each."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return work()
    except KeyboardInterrupt as stopped:
        typer.echo(
            f"Stopped. What is finished is kept in {out}; go on with the same command (sweep: and --resume).", err=True
        )
        raise typer.Exit(128 + getattr(stopped, "number", signal.SIGINT)) from None


def _go_on(path: Path, until: Any, quiet: bool, as_json: bool) -> None:
    from orchestrator.run_folder import RunFolder
    from orchestrator.sweep import experiment_of, run

    experiment = experiment_of(RunFolder(path.expanduser().absolute()))
    reporter = Reporter(quiet)
    folder = _interruptible(lambda: run(experiment, path, resume=True, until=until, reporter=reporter), path)
    _print_result(folder, as_json, evaluated=True)


def _print_result(folder: Any, as_json: bool, evaluated: bool = False) -> None:
    """Print what a run holds; where models should have been `evaluated` and none could be, that is no success."""
    from orchestrator.results import result_json, result_text

    result = result_json(folder)
    typer.echo(json.dumps(result, indent=2) if as_json else result_text(folder))
    completed = sum(result["records"].get(stage, {}).get("completed", 0) for stage in ("evaluation", "ablation"))
    if evaluated and not completed:
        typer.echo("No model could be evaluated: the reasons stand in the report, under Failures.", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    main()

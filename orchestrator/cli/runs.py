"""The commands on one run: `sweep`, `ablate`, `evaluate`, `report`, `status`, `demo`."""

import json
import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, TypeVar

import typer

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.cli.options import Json, Quiet, RunArgument, Set, Strict
from orchestrator.machine.progress import Reporter
from orchestrator.machine.stopping import Stopped
from trainables.printing import printable_lines

Result = TypeVar("Result")


class Stage(StrEnum):
    """Where a sweep may end."""

    render = "render"
    search = "search"
    evaluate = "evaluate"
    report = "report"


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
    from orchestrator.experiment.experiment import Experiment

    loaded = Experiment.load(experiment, tuple(overrides or ()))
    from orchestrator.running.run import run

    reporter = Reporter(quiet)
    folder = interruptible(
        lambda: run(loaded, out, resume=resume, until=until.value, strict=strict, reporter=reporter),
        out,
        again=" and --resume",
    )
    _print_result(folder, as_json, evaluated=until in (Stage.evaluate, Stage.report))


def plan(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT.yaml", help="The experiment file.")],
    overrides: Set = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="The folder of the run to be: keeps the plan for its report."),
    ] = None,
    like: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A run whose records tell what the like of it takes.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="What probes may take in all, at most.")] = 60.0,
    ablation: Annotated[bool, typer.Option("--ablate", help="Plan what `ablate` runs, instead of a sweep.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Say what a sweep will cost, before it runs.

    Trials, time, CPU- and GPU-hours, memory and disk, a line a stage, with ranges: from earlier runs' records, else
    from trainings of a few steps.
    """
    from orchestrator.experiment.experiment import Experiment

    loaded = Experiment.load(experiment, tuple(overrides or ()))
    from orchestrator.planning.plan import plan as reckon

    made = reckon(loaded, out, like=like, seconds=seconds, ablation=ablation, reporter=Reporter(quiet))
    from orchestrator.planning.plan_text import plan_json, plan_text

    typer.echo(json.dumps(plan_json(made), indent=2) if as_json else printable_lines(plan_text(made)))


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
    from orchestrator.experiment.experiment import Experiment

    loaded = Experiment.load(experiment, tuple(overrides or ()))
    from orchestrator.running.run import ablate as run

    reporter = Reporter(quiet)
    folder = interruptible(lambda: run(loaded, out, strict=strict, reporter=reporter), out)
    _print_result(folder, as_json, evaluated=True)


def evaluate(run_folder: RunArgument, quiet: Quiet = False, as_json: Json = False) -> None:
    """Evaluate the winners of a searched run on test.

    Each is trained with every seed, frozen, and then scored on the test part once.
    """
    from orchestrator.running.run import evaluate as go_on

    reporter = Reporter(quiet)
    folder = interruptible(lambda: go_on(run_folder, reporter=reporter), run_folder)
    _print_result(folder, as_json, evaluated=True)


def report(
    run_folder: RunArgument,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Write every figure as PDF, PNG and SVG, too; takes longer.")
    ] = True,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC,…",
            help="The metrics in the LaTeX, Markdown and HTML tables of tables/, in this order; unset: all.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run as it stands."""
    from orchestrator.running.claim import open_run
    from orchestrator.running.run import write_report

    chosen = [name.strip() for name in (columns or "").split(",") if name.strip()]
    write_report(run_folder, figures=figures, columns=chosen)
    _print_result(open_run(run_folder), as_json)


def status(run_folder: RunArgument, as_json: Json = False) -> None:
    """Say how a run stands.

    While it works, after it died, or from another machine that sees its folder.
    """
    from orchestrator.running.status import status as look
    from orchestrator.running.status import status_text

    found = look(run_folder)
    typer.echo(json.dumps(found, indent=2) if as_json else printable_lines(status_text(found)))


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The folder of the demo's run.")] = Path("demo-run"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare two families on made-up series.

    Nine classes of 160 series; ends with the leaderboard and the report's path. Two to three minutes on two free cores.
    """
    from orchestrator.running.demo import demo as run

    reporter = Reporter(quiet)
    _print_result(interruptible(lambda: run(out, reporter=reporter), out), as_json)


def interruptible(work: Callable[[], Result], out: Path | None, again: str = "") -> Result:
    """Do the work; where Ctrl-C or SIGTERM ends it, say how to go on, with the exit code that a shell gives each.

    `out`: where what is finished is kept; None: nowhere. `again`: what the same command needs beside to go on.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    signal.signal(signal.SIGTERM, stop)
    try:
        return work()
    except KeyboardInterrupt as stopped:
        kept = f" What is finished is kept in {out}; go on with the same command{again}."
        typer.echo(f"Stopped.{kept if out is not None else ''}", err=True)
        raise typer.Exit(128 + getattr(stopped, "number", signal.SIGINT)) from None


def _print_result(folder: RunFolder, as_json: bool, evaluated: bool = False) -> None:
    """Print what a run holds; where models should have been `evaluated` and none could be, that is no success."""
    from orchestrator.running.results import result_json, result_text

    result = result_json(folder)
    typer.echo(json.dumps(result, indent=2) if as_json else printable_lines(result_text(folder)))
    completed = sum(result["records"].get(stage, {}).get("completed", 0) for stage in ("evaluation", "ablation"))
    if evaluated and not completed:
        typer.echo("No model could be evaluated: the reasons stand in the report, under Failures.", err=True)
        raise typer.Exit(1)

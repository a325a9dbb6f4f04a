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

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing while working; results and errors stay.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at a file that can't be used, instead of skipping it.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the file, such as budget.trials=5. Repeatable."),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]


class Style(StrEnum):
    """How a series is drawn."""

    seed = "seed"
    plain = "plain"


class Tree(StrEnum):
    """How a folder of data lies."""

    series = "series"
    images = "images"
    spill = "spill"
    mvtec = "mvtec"
    rgbd = "rgbd"
    mvtec3d = "mvtec3d"


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


@app.command()
def inspect(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The folder of the data.")],
    layout: Annotated[
        Tree | None, typer.Option(help="How the folder lies; unset: guessed by the names of folders and files.")
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

    Layout, classes, parts, sizes, duplicates, masks, what is left out, and the split that default settings give.
    """
    from orchestrator.data.contact_sheet import write_contact_sheet
    from orchestrator.data.inspection import inspect as look
    from orchestrator.data.inspection_text import inspection_json, inspection_text

    seen = look(data, None if layout is None else layout.value, normal, group)
    if sheet is not None:
        write_contact_sheet(seen.listing, sheet, seen.normal)
    typer.echo(json.dumps(inspection_json(seen), indent=2) if as_json else inspection_text(seen))


@app.command()
def render(
    csv_root: Annotated[Path, typer.Argument(metavar="CSV_ROOT", help="The tree of CSVs; its folders are classes.")],
    out: Annotated[Path, typer.Option("--out", metavar="STORE", help="The folder of the pictures' store.")],
    style: Annotated[Style, typer.Option(help="seed: grid and labels; plain: matplotlib's default.")] = Style.seed,
    size: Annotated[
        str,
        typer.Option(
            metavar="N|HxW|full", help="Pixels a side, or full (seed about 790x590, cut tight; plain 800x600)."
        ),
    ] = "224",
    png: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write PNG files here as well.")] = None,
    column: Annotated[str | None, typer.Option(help="The column to plot; unset: data, else value, else first.")] = None,
    strict: Strict = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Render a tree of CSVs to a store of plots.

    What is rendered already is not rendered again.
    """
    from orchestrator.render import parse_size, render_tree

    result = render_tree(
        csv_root,
        out,
        style=style.value,
        size=parse_size(size),
        column=column,
        png=png,
        strict=strict,
        reporter=Reporter(quiet),
    )
    typer.echo(json.dumps(result.as_dict(), indent=2) if as_json else result.text())


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

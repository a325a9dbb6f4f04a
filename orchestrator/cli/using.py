"""The commands that use what a run has found: `orchestrate predict`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import Device, ModelArgument, Quiet, Seed, Strategy, Threshold, Together, Trust
from orchestrator.cli.runs import interruptible
from orchestrator.machine.progress import Reporter
from trainables.errors import InputError
from trainables.printing import printable_lines

if TYPE_CHECKING:
    from orchestrator.using.result_file import Format


def predict(
    model: ModelArgument,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Files, folders of files, or - for paths on standard input."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the results here: .csv, .jsonl or .parquet. Unset: standard output."),
    ] = None,
    seed: Seed = None,
    threshold: Threshold = None,
    strategy: Strategy = None,
    ensemble: Together = False,
    heat_maps: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write heat map, mask and overlay of each file here, at its own size."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Results as JSON, a line a file.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Results as Parquet; needs --out.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at a file that gives no result.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the results that lie at --out.")] = False,
    device: Device = "auto",
    trust: Trust = None,
    quiet: Quiet = False,
) -> None:
    """Score new files with a trained model.

    A row a file: verdict, score or class probabilities, threshold, seconds; a broken file is a row with its reason.
    Says where the files are unlike those of validation.
    """
    from orchestrator.using.order import Asked
    from orchestrator.using.predict import score_files
    from orchestrator.using.result_file import UNFINISHED

    if as_json and parquet:
        raise InputError("--json and --parquet are two formats. Give one of them.")
    form: Format | None = "json" if as_json else "parquet" if parquet else None
    own = tuple(trust or ())
    asked = Asked(form, seed, threshold, strategy, ensemble, heat_maps, device, own, strict, overwrite)
    reporter = Reporter(quiet)
    found = interruptible(
        lambda: score_files(model, inputs, out, asked, lambda text: typer.echo(text, nl=False), reporter),
        None if out is None else out.with_name(out.name + UNFINISHED),
    )
    # Where the rows stand on standard output, nothing else may.
    typer.echo(printable_lines(found.text()), err=out is None)
    if found.failed == found.files:
        raise typer.Exit(1)

"""The command that makes one file of a kept model: `export`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Json, ModelArgument, Seed, Together, Trust
from trainables.printing import printable_lines


class Format(StrEnum):
    """What a model is exported as."""

    onnx = "onnx"
    torch = "torch"
    torch_export = "torch.export"


def export(
    model: ModelArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")],
    seed: Seed = None,
    ensemble: Together = False,
    format: Annotated[
        Format,
        typer.Option(
            help="onnx; torch: TorchScript, which torch itself calls deprecated, for LibTorch and older versions; "
            "torch.export: a program (.pt2)."
        ),
    ] = Format.onnx,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="The largest relative difference of a score from the kept one; unset: 1e-4, or 0.05 where the model "
            "was scored in bfloat16, which the file is not.",
        ),
    ] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Write the file also where its scores differ, or can't be compared.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file that lies at --out.")] = False,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Write a kept model as one file for production.

    It takes uint8 pictures of any size, resizes them as in training and gives probabilities, or score, map and verdict;
    its scores of the kept test pictures are held against the kept ones before it is written.
    """
    from orchestrator.using.export.exporting import export_model

    made = export_model(
        model,
        out,
        seed=seed,
        ensemble=ensemble,
        format=format.value,
        tolerance=tolerance,
        unchecked=unchecked,
        overwrite=overwrite,
        trust=tuple(trust or ()),
    )
    typer.echo(json.dumps(made.as_dict(), indent=2) if as_json else printable_lines(made.text()))

"""What several commands share on the command line."""

from pathlib import Path
from typing import Annotated

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing while working; results and errors stay.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at a file that can't be used, instead of skipping it.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the file, such as budget.trials=5. Repeatable."),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A run (its winner is taken), RUN:VARIANT, or the folder of a kept model."),
]
Seed = Annotated[
    int | None, typer.Option(help="The seed whose model is taken; unset: the one that was best on validation.")
]
Trust = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE.py:NAME", help="Code of your own that the model was trained with, which is run."),
]
Together = Annotated[
    bool, typer.Option("--ensemble", help="All seeds of the variant answer together, with equal shares.")
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the model computes.")]
Threshold = Annotated[
    float | None, typer.Option(help="Detection: scores above it are anomalies; unset: as validation chose.")
]
Strategy = Annotated[
    str | None,
    typer.Option(metavar="STRATEGY", help="Detection: a threshold strategy, fitted to the kept validation scores."),
]

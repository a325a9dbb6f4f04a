"""The command that trains what won once more: `orchestrate refit`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Device, Json, Quiet, RunArgument, Strict, Trust
from orchestrator.cli.runs import interruptible
from orchestrator.machine.progress import Reporter
from trainables.printing import printable_lines


def refit(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The folder of the new model; made if absent.")],
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="The variant that is trained once more; unset: the run's winner.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="MORE", help="New data, lying as the run's do: they join the training part."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Train on validation, too: nothing is held out.")] = False,
    with_test: Annotated[bool, typer.Option("--with-test", help="With --all: train on the test part, too.")] = False,
    seed: Annotated[int | None, typer.Option(help="Unset: that of the variant's best model on validation.")] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="With --all: more trainings, each without the fold of validation that it scores; to these scores the "
            "threshold is fitted. Unset: 3 to detect, 0 to classify. 0: the evaluated model's threshold stays."
        ),
    ] = None,
    device: Device = "auto",
    trust: Trust = None,
    strict: Strict = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train what won once more, on new or on all data, for use.

    Nothing is searched. The epoch stays as validation chose it, and what can't be judged any more is said. A refit that
    was broken off goes on by the same command.
    """
    from orchestrator.running.refit import refit as work

    reporter = Reporter(quiet)
    found = interruptible(
        lambda: work(
            run,
            out,
            variant=variant,
            data=data,
            everything=everything,
            with_test=with_test,
            seed=seed,
            folds=folds,
            device=device,
            trust=trust or (),
            strict=strict,
            reporter=reporter,
        ),
        out,
    )
    typer.echo(json.dumps(found.as_dict(), indent=2) if as_json else printable_lines(found.text()))

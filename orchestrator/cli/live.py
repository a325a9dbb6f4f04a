"""The commands that stay at work: `orchestrate watch` and `orchestrate stream`."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated

import typer

from orchestrator.cli.options import Device, ModelArgument, Quiet, Seed, Strategy, Threshold, Together, Trust
from orchestrator.machine.progress import Reporter
from trainables.printing import printable_lines


class Stopping(Event):
    """Set by the first Ctrl-C or SIGTERM; the second ends at once."""

    number: int | None = None

    def take(self, number: int, frame: FrameType | None) -> None:
        """A signal came."""
        if self.is_set():
            raise KeyboardInterrupt
        self.number = number
        self.set()


@contextmanager
def _stopping() -> Iterator[Stopping]:
    """Within, signals ask to stop; afterwards the exit code says which came."""
    stop = Stopping()
    before = {number: signal.signal(number, stop.take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.number is not None:
        raise typer.Exit(128 + stop.number)


def watch(
    model: ModelArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Whose files are scored, and of all folders in it.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE.jsonl", help="The results, a JSON line a file, appended to; its own journal.")
    ],
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="COMMAND",
            help="Run this for each anomaly, without a shell: {} is the file's path, which else stands at its end. At "
            "least once: again after a kill in between.",
        ),
    ] = None,
    normal: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Of a classifier: the verdict that runs no command.")
    ] = None,
    exec_timeout: Annotated[float, typer.Option(metavar="SECONDS", help="That the command may take.")] = 60.0,
    settle: Annotated[
        float, typer.Option(metavar="SECONDS", help="For which a file must be unchanged to count as complete.")
    ] = 1.0,
    poll: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Look the folder over so often. Unset: the kernel tells, but of network folders."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when all that lies there is scored.")] = False,
    seed: Seed = None,
    threshold: Threshold = None,
    strategy: Strategy = None,
    ensemble: Together = False,
    device: Device = "auto",
    trust: Trust = None,
    quiet: Quiet = False,
) -> None:
    """Score files as they come into a folder.

    What lies there first, the oldest first; each file once it is complete, and once, across restarts and kills; again
    where it changed. Names that begin with a dot, or say .part or .tmp, are left alone. Ends by Ctrl-C.
    """
    from orchestrator.using.live.watch import watch as work

    with _stopping() as stop:
        found = work(
            model,
            folder,
            out,
            command=command,
            normal=normal,
            exec_timeout=exec_timeout,
            settle=settle,
            poll=poll,
            once=once,
            seed=seed,
            threshold=threshold,
            strategy=strategy,
            ensemble=ensemble,
            device=device,
            trust=trust or (),
            stop=stop,
            reporter=Reporter(quiet),
        )
        typer.echo(printable_lines(found.text()))
    if set(found.counts) == {"failed"}:
        raise typer.Exit(1)


def stream(
    model: ModelArgument,
    window: Annotated[int, typer.Option(metavar="N", help="Values that are judged together, as in a training series.")],
    source: Annotated[
        str, typer.Argument(metavar="[FILE.csv|-]", help="A CSV that grows, or - for lines on standard input.")
    ] = "-",
    hop: Annotated[
        int | None, typer.Option(metavar="M", help="Values from one window to the next; unset: as many as a window.")
    ] = None,
    column: Annotated[
        str | None, typer.Option(metavar="C", help="The column of the CSV; unset: the one that training took.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the lines here. Unset: standard output.")
    ] = None,
    lag: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="That a line may come after its last value (2), before windows are skipped, evenly; inf: the input "
            "waits.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the lines that lie at --out.")] = False,
    seed: Seed = None,
    threshold: Threshold = None,
    strategy: Strategy = None,
    ensemble: Together = False,
    device: Device = "auto",
    trust: Trust = None,
    quiet: Quiet = False,
) -> None:
    """Judge the last values of a live series, again and again.

    A number a line, or the lines of a CSV. A JSON line a window: which values, verdict, scores, and how long after the
    last value it comes. Ends with the input, or by Ctrl-C, and sums up.
    """
    from orchestrator.using.live.stream import stream as work

    with _stopping() as stop:
        found = work(
            model,
            source,
            out,
            window=window,
            hop=hop,
            column=column,
            lag=lag,
            seed=seed,
            threshold=threshold,
            strategy=strategy,
            ensemble=ensemble,
            device=device,
            trust=trust or (),
            overwrite=overwrite,
            on_line=None if out is not None else lambda line: typer.echo(json.dumps(line)),
            stop=stop,
            reporter=Reporter(quiet),
        )
        typer.echo(printable_lines(found.text()), err=out is None)

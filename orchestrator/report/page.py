"""A run's folder to its report."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.formatting import labelled
from orchestrator.report.figures.svg import drawing
from orchestrator.report.folder import write_folder
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.sections.sections import build_report
from trainables.errors import InputError


def write_report(run: RunFolder, figures: bool = True, columns: Sequence[str] = ()) -> Path:
    """Write the report of what the run holds now, and return the path of its page.

    `figures`: every figure also as PDF, PNG and SVG under figures/, which may take as long as all the rest.
    `columns`: the metrics in the tables that papers quote (tables/*.tex, .md, .html), in this order; empty for all.
    Needs the run's folder alone: no Ray, no network, no other package's files. Raises InputError where the folder holds
    no record, a record that can't be read, no room to write, or no metric of a name in `columns`.
    """
    data = read_run(run)
    with drawing(), labelled(data.own_metrics):
        report = build_report(data, columns)
    try:
        return write_folder(report, run.report, figures=figures, ours=True)
    except OSError as error:
        raise InputError(
            f"The report can't be written to {run.report}: {error.strerror or error}. Make room there or change its "
            "permissions, then run `orchestrate report` again; the records are whole."
        ) from None

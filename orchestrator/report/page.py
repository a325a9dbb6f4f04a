"""A run's folder to its report."""

from pathlib import Path

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.formatting import labelled
from orchestrator.report.figures.svg import drawing
from orchestrator.report.folder import write_folder
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.sections.sections import build_report
from trainables.errors import InputError


def write_report(run: RunFolder, figures: bool = True) -> Path:
    """Write the report of what the run holds now, and return the path of its page.

    `figures`: every figure also as PDF, PNG and SVG under figures/, which may take as long as all the rest.
    Needs the run's folder alone: no Ray, no network, no other package's files. Raises InputError where the folder holds
    no record, a record that can't be read, or no room to write.
    """
    data = read_run(run)
    with drawing(), labelled(data.own_metrics):
        report = build_report(data)
    try:
        return write_folder(report, run.report, figures=figures, ours=True)
    except OSError as error:
        raise InputError(
            f"The report can't be written to {run.report}: {error.strerror or error}. Make room there or change its "
            "permissions, then run `orchestrate report` again; the records are whole."
        ) from None

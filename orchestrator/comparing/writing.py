"""A comparison to a folder: page, text, tables and figures, each file written whole or not at all."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.comparing.reading import NamedRun
from orchestrator.report.blocks import Report
from orchestrator.report.figure_files import charts_of, figure_files
from orchestrator.report.formatting import printable
from orchestrator.report.markdown import to_markdown
from orchestrator.report.page import to_csv, to_html, write_whole
from orchestrator.report.svg import drawing
from orchestrator.report.table_files import table_files
from trainables.errors import InputError


def check_out(out: Path, runs: Sequence[NamedRun]) -> None:
    """InputError where the pages would lie in a run's folder, over its own report."""
    for run in runs:
        if out.expanduser().resolve().is_relative_to(run.data.run.root.resolve()):
            raise InputError(
                f"--out {printable(out)} lies in the folder of the run {run.name}, whose own report would be "
                "overwritten. Give a folder outside of the runs."
            )


def write_folder(report: Report, out: Path) -> Path:
    """Write the report as `orchestrate report` does, and return the path of its page.

    Nothing else in the folder is touched: it is the user's. InputError where it can't be written.
    """
    page = out.expanduser().absolute() / "index.html"
    try:
        for name, frame in report.frames.items():
            write_whole(page.with_name("tables") / f"{name}.csv", to_csv(frame))
        for name, content in table_files(report):
            write_whole(page.with_name("tables") / name, content)
        with drawing(), figure_files(charts_of(report)) as drawn:
            for name, content in drawn:
                write_whole(page.with_name("figures") / name, content)
        write_whole(page.with_name("report.md"), to_markdown(report))
        write_whole(page, to_html(report))
    except OSError as error:
        raise InputError(
            f"The comparison can't be written to {printable(out)}: {error.strerror or error}. Make room there or "
            "change its permissions, or give another folder with --out."
        ) from None
    return page

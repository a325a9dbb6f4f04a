"""A report to its folder: index.html, report.md, tables/ and figures/, each file written whole or not at all."""

from collections.abc import Collection, Iterable
from pathlib import Path

from orchestrator.report.document.document import Report
from orchestrator.report.document.html import to_html
from orchestrator.report.document.markdown import to_markdown
from orchestrator.report.document.spreadsheet import to_csv
from orchestrator.report.document.table_files import SUFFIXES as TABLE_SUFFIXES
from orchestrator.report.document.table_files import table_files
from orchestrator.report.figures.figure_files import SUFFIXES, charts_of, figure_files
from orchestrator.report.figures.svg import drawing
from trainables.files import write_whole

PAGE = "index.html"


def write_folder(report: Report, folder: Path, *, figures: bool = True, ours: bool = False) -> Path:
    """Write the report and return the path of its page. Raises OSError where it can't be written.

    `figures`: every figure also as PDF, PNG and SVG under figures/, which may take as long as all the rest. `ours`: the
    folder is a run's own, so that tables and figures which there are no more are removed from it.
    """
    page = folder / PAGE
    with drawing(), figure_files(charts_of(report) if figures else ()) as drawn:
        tables = ((f"{name}.csv", to_csv(frame)) for name, frame in report.frames.items())
        write_files(folder / "tables", (*tables, *table_files(report)), clear=TABLE_SUFFIXES if ours else ())
        write_files(folder, [("report.md", to_markdown(report)), (PAGE, to_html(report))])
        write_files(folder / "figures", drawn, clear=SUFFIXES if ours else ())
    return page


def write_files(folder: Path, contents: Iterable[tuple[str, str | bytes]], clear: Collection[str] = ()) -> None:
    """Write files by name, and remove the folder's others that end on one of `clear`: they are of an earlier report."""
    if clear and folder.is_symlink():
        # What it points to is not ours to clear.
        folder.unlink()
    written = set()
    for name, content in contents:
        folder.mkdir(parents=True, exist_ok=True)
        # A name whose bytes are no UTF-8 is written with visible escapes.
        held = content if isinstance(content, bytes) else content.encode("utf-8", errors="backslashreplace")
        write_whole(folder / name, held, wait=True, shared=True)
        written.add(name)
    for path in folder.iterdir() if clear and folder.is_dir() else ():
        if path.name not in written and path.suffix in clear:
            path.unlink()

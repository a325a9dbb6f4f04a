"""A run's folder to its report: index.html, report.md and tables/*.csv, each written whole or not at all."""

import base64
import hashlib
import os
from collections.abc import Collection, Iterable
from importlib.resources import files
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from orchestrator.report.blocks import Block, Report
from orchestrator.report.figure_files import SUFFIXES, charts_of, figure_files
from orchestrator.report.formatting import joints
from orchestrator.report.markdown import to_markdown
from orchestrator.report.readout import axes_of
from orchestrator.report.run_data import read_run
from orchestrator.report.sections import build_report
from orchestrator.report.svg import drawing
from orchestrator.report.table_files import SUFFIXES as TABLE_SUFFIXES
from orchestrator.report.table_files import table_files
from orchestrator.run_folder import RunFolder
from trainables.errors import InputError


def write_report(run: RunFolder, figures: bool = True) -> Path:
    """Write the report of what the run holds now, and return the path of its page.

    `figures`: every figure also as PDF, PNG and SVG under figures/, which may take as long as all the rest.
    Needs the run's folder alone: no Ray, no network, no other package's files. Raises InputError where the folder holds
    no record, a record that can't be read, or no room to write.
    """
    data = read_run(run)
    with drawing():
        report = build_report(data)
    page = run.report / "index.html"
    try:
        with drawing(), figure_files(charts_of(report) if figures else ()) as drawn:
            write_tables(run.report / "tables", report)
            write_whole(run.report / "report.md", to_markdown(report))
            write_whole(page, to_html(report))
            write_figures(run.report / "figures", drawn)
    except OSError as error:
        raise InputError(
            f"The report can't be written to {run.report}: {error.strerror or error}. Make room there or change its "
            "permissions, then run `orchestrate report` again; the records are whole."
        ) from None
    return page


def to_html(report: Report) -> str:
    """The page: one file that asks for nothing else. Every text is escaped but our own SVG."""
    environment = Environment(
        loader=PackageLoader("orchestrator.report", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["svg"] = Markup
    environment.filters["breakable"] = breakable
    environment.filters["axes"] = axes_of
    environment.tests["kind"] = _is_kind
    style, script = (
        files("orchestrator.report").joinpath("templates", name).read_text(encoding="utf-8")
        for name in ("style.css", "script.js")
    )
    # The page may run this very script and nothing else, whatever the names in it try.
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    return environment.get_template("page.html.j2").render(
        report=report,
        style=Markup(style),
        script=Markup(script),
        policy=f"{policy}; base-uri 'none'; form-action 'none'",
    )


def breakable(text: str) -> Markup:
    """Escaped text that may break after the joints of a name, and inside a long run without any."""
    return Markup("<wbr>").join(joints(text))


def _is_kind(block: Block, name: str) -> bool:
    return type(block).__name__ == name


def to_csv(frame: pd.DataFrame) -> str:
    """Plain numbers in full precision, empty where there is none."""
    return frame.to_csv(index=False, lineterminator="\n")


def write_tables(folder: Path, report: Report) -> None:
    """Write every table in each format; those of tables that there are no more go."""
    frames = ((f"{name}.csv", to_csv(frame)) for name, frame in report.frames.items())
    _write_all(folder, (*frames, *table_files(report)), TABLE_SUFFIXES)


def write_figures(folder: Path, drawn: Iterable[tuple[str, bytes]]) -> None:
    """Write the files of figures; those of figures that there are no more go."""
    _write_all(folder, drawn, SUFFIXES)


def _write_all(folder: Path, contents: Iterable[tuple[str, str | bytes]], suffixes: Collection[str]) -> None:
    """Write files by name, and remove the folder's others that end on `suffixes`: they are of an earlier report."""
    if folder.is_symlink():
        # What it points to is not ours to clear.
        folder.unlink()
    written = set()
    for name, content in contents:
        write_whole(folder / name, content)
        written.add(name)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in written and path.suffix in suffixes:
            path.unlink()


def write_whole(path: Path, text: str | bytes) -> None:
    """Write under another name and move into place, so that a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            # A name whose bytes are no UTF-8 is written with visible escapes.
            file.write(text if isinstance(text, bytes) else text.encode("utf-8", errors="backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)

"""The files of tables that papers quote: HTML, Markdown and LaTeX of one description, and parquet."""

import io
from collections.abc import Iterator, Sequence

import pandas as pd

from orchestrator.report.document.document import Report, Table
from orchestrator.report.document.formatting import sentence
from orchestrator.report.document.html import table_html
from orchestrator.report.document.latex import document, to_latex
from orchestrator.report.document.markdown import escape, table_lines

SUFFIXES = (".csv", ".html", ".md", ".parquet", ".tex")


def table_files(report: Report) -> Iterator[tuple[str, str | bytes]]:
    """Each file's name in `tables/` and what it holds; CSVs are written from the report's frames."""
    for name, tables in report.printed.items():
        yield f"{name}.html", table_html(tables, _title(tables))
        yield f"{name}.md", table_markdown(tables)
        yield f"{name}.tex", to_latex(tables, name)
    if report.printed:
        yield "document.tex", document(list(report.printed))
    for name, frame in report.parquets.items():
        yield f"{name}.parquet", to_parquet(frame)


def table_markdown(tables: Sequence[Table]) -> str:
    """The tables with their captions."""
    lines = [f"# {escape(_title(tables))}", ""]
    for table in tables:
        lines += [*table_lines(table), "", escape(table.caption), ""]
    return "\n".join(lines)


def to_parquet(frame: pd.DataFrame) -> bytes:
    """The frame with its types, compressed."""
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    return file.getvalue()


def _title(tables: Sequence[Table]) -> str:
    return sentence(tables[0].name)

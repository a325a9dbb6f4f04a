"""The report as Markdown: the same words and numbers, figures by their captions."""

import re
from collections.abc import Sequence

from orchestrator.report.document.captions import captions_of
from orchestrator.report.document.document import (
    Block,
    Chart,
    Charts,
    Code,
    Facts,
    Fold,
    Headline,
    Listing,
    Report,
    Strips,
    Table,
    TableCell,
)


def escape(text: str) -> str:
    """Text that Markdown shows as it is, also inside a table."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"([\\`*_\[\]<>|#~$&])", r"\\\1", text)
    # What would begin a list at the start of a line.
    text = re.sub(r"^([-+])(?=\s)", r"\\\1", text)
    return re.sub(r"^(\d+)([.)])(?=\s)", r"\1\\\2", text)


def to_markdown(report: Report) -> str:
    """The whole report."""
    lines = [f"# {escape(report.title)}", "", escape(report.subtitle), ""]
    for mark in report.marks:
        lines += [f"**Beware: {escape(mark)}**", ""]
    if report.partial:
        lines += [f"**{escape(report.partial)}**", ""]
    lines += _headline(report.headline) if report.headline is not None else []
    lines += ["## What was asked", "", *_list(report.asked), "", "## What came out", "", *_list(report.found), ""]
    if report.notices:
        lines += ["## To know first", "", *_list(report.notices), ""]
    for section in report.sections:
        lines += [f"## {escape(section.title)}", ""]
        for text in section.text:
            lines += [escape(text), ""]
        for block in section.blocks:
            lines += _block(block, 3)
    lines += ["The figures are in index.html, all numbers in tables/.", ""]
    return "\n".join(lines)


def _block(block: Block, level: int) -> list[str]:
    match block:
        case Table():
            return [*table_lines(block), "", escape(block.caption), ""]
        case Facts():
            return [*(f"- {escape(name)}: {escape(value)}" for name, value in block.rows), ""]
        case Listing():
            return [*_list(block.items), ""]
        case Code():
            return _code(block.text)
        case Charts():
            said = captions_of(block.charts)
            lines = [_figure(one, own) for one, own in zip(block.charts, said.own, strict=True)]
            return [*lines, "", *([escape(said.shared), ""] if said.shared else [])]
        case Strips():
            labels = "; ".join(f"{one.label} ({one.pictures})" for one in block.strips)
            return [f"- Pictures: {escape(f'{block.title}: {labels}')}", ""]
        case Fold():
            inner = [line for part in block.blocks for line in _block(part, level + 1)]
            return [f"{'#' * level} {escape(block.title)}", "", *inner]


def _figure(chart: Chart, caption: str) -> str:
    return f"- Figure: {escape(f'{chart.title}. {caption}'.rstrip())}"


def _headline(one: Headline) -> list[str]:
    lines = ["## Verdict", "", f"**{escape(one.verdict)}**", ""]
    if one.card is not None:
        lines += [f"### Best figure: {escape(one.card.title)}", "", *_list([*one.card.lines, *one.card.warnings]), ""]
    if one.chart is not None:
        lines += [_figure(one.chart, one.chart.caption), ""]
    if one.tiles:
        lines += [*(f"- Picture: {escape(tile.alt)}" for tile in one.tiles), ""]
    return [*lines, escape(one.seen), ""] if one.seen else lines


def _list(items: Sequence[str]) -> list[str]:
    return [f"- {escape(item)}" for item in items]


def _code(text: str) -> list[str]:
    # A fence longer than any run of backticks inside can't be closed by the text.
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return [fence, text.rstrip("\n"), fence, ""]


def table_lines(table: Table) -> list[str]:
    """A table without its caption; what is strong is bold."""
    rule = ["---:" if column in table.numeric else "---" for column in range(len(table.columns))]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    return [f"| {' | '.join(row)} |" for row in ([escape(name) for name in table.columns], rule, *rows)]


def _cell(cell: TableCell) -> str:
    text = escape(cell.text)
    text = f"**{text}**" if text and cell.tone == "strong" else text
    return f"{text} {escape(cell.detail)}".strip()

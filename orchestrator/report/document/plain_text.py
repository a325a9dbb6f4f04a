"""A report's words and tables as plain text for a terminal."""

import textwrap
import unicodedata
from collections.abc import Sequence

from orchestrator.report.document.document import Block, Charts, Code, Facts, Fold, Listing, Report, Strips, Table

WIDTH = 100
_LONGEST = 24
"""Longer words may be broken."""
_GAP = "  "
_HOLD = "\u00a0"


def to_text(report: Report, width: int = WIDTH) -> str:
    """Title, marks, what came out, notices, and every section; no line but a long word's is wider than `width`.

    Figures and pictures are left out: a terminal can't show them, and the words beside them say what they show.
    """
    lines = [report.title, "=" * min(width, _width(report.title)), *_wrapped(report.subtitle, width), ""]
    for items in (report.marks, report.found, report.notices):
        lines += [line for item in items for line in _wrapped(item, width, "* ")] + ([""] if items else [])
    for section in report.sections:
        lines += [section.title, "-" * min(width, _width(section.title))]
        for text in section.text:
            lines += [*_wrapped(text, width), ""]
        for block in section.blocks:
            lines += _block(block, width)
    return "\n".join(lines).rstrip() + "\n"


def blocks_text(blocks: Sequence[Block], width: int = WIDTH) -> str:
    """Blocks alone, without a report around them."""
    return "\n".join(line for block in blocks for line in _block(block, width)).rstrip()


def _block(block: Block, width: int) -> list[str]:
    match block:
        case Table():
            return [*_table(block, width), "", *_wrapped(block.caption, width), ""]
        case Facts():
            return [*(line for name, value in block.rows for line in _wrapped(f"{name}: {value}", width)), ""]
        case Listing():
            return [*(line for item in block.items for line in _wrapped(item, width, "* ")), ""]
        case Code():
            return [*block.text.splitlines(), ""]
        case Fold():
            return [block.title, "", *(line for part in block.blocks for line in _block(part, width))]
        case Charts() | Strips():
            return []


def _table(table: Table, width: int) -> list[str]:
    """The table; columns that do not fit side by side stand below in further parts, each with the first column."""
    # An interval or a number is not broken: no-break spaces hold it together while lines are wrapped.
    cells = [
        [
            f"{_held(cell.text) if column in table.numeric else cell.text} {_held(cell.detail)}".strip()
            for column, cell in enumerate(row)
        ]
        for row in table.rows
    ]
    rows = [list(table.columns), *cells]
    lines: list[str] = []
    for part in _parts([_least(rows, column) for column in range(len(table.columns))], width):
        lines += [""] if lines else []
        lines += _columns(
            [[row[column] for column in part] for row in rows], [one in table.numeric for one in part], width
        )
    return lines


def _columns(rows: Sequence[Sequence[str]], numeric: Sequence[bool], width: int) -> list[str]:
    """Rows, the first of which is the head, as aligned and wrapped lines."""
    widths = _widths(rows, width)
    lines: list[str] = []
    for number, row in enumerate(rows):
        parts = [
            textwrap.wrap(text, room, break_on_hyphens=False) or [""] for text, room in zip(row, widths, strict=True)
        ]
        for line in range(max(len(part) for part in parts)):
            cells = [
                _padded(part[line].replace(_HOLD, " ") if line < len(part) else "", room, right)
                for part, room, right in zip(parts, widths, numeric, strict=True)
            ]
            lines.append(_GAP.join(cells).rstrip())
        if number == 0:
            lines.append(_GAP.join("-" * room for room in widths))
    return lines


def _parts(least: Sequence[int], width: int) -> list[list[int]]:
    """Which columns stand side by side."""
    parts = [[0]]
    room = width - least[0]
    for column, needed in enumerate(least[1:], start=1):
        if needed + len(_GAP) > room and len(parts[-1]) > 1:
            parts.append([0])
            room = width - least[0]
        parts[-1].append(column)
        room -= needed + len(_GAP)
    return parts


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Each column's width: what its widest cell needs; too wide lines take from what has most room above its words."""
    columns = range(len(rows[0]))
    widths = [max(1, *(_width(row[column]) for row in rows)) for column in columns]
    least = [_least(rows, column) for column in columns]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        slack = [now - narrow for now, narrow in zip(widths, least, strict=True)]
        if max(slack) <= 0:
            break
        widths[slack.index(max(slack))] -= 1
    return widths


def _least(rows: Sequence[Sequence[str]], column: int) -> int:
    """The narrowest that a column can be without breaking a word."""
    return min(_LONGEST, max(1, *(_width(word) for row in rows for word in row[column].split(" "))))


def _held(text: str) -> str:
    return text.replace(" ", _HOLD)


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * max(0, width - _width(text))
    return space + text if right else text + space


def _wrapped(text: str, width: int, mark: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _width(text: str) -> int:
    """Columns of a terminal: two for wide characters, none for what joins the one before."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )

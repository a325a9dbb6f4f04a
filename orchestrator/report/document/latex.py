"""Tables as LaTeX (booktabs), in ASCII alone: any engine and any input encoding set it, and no name can stop it."""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.document.captions import short_caption
from orchestrator.report.document.document import Table, TableCell
from orchestrator.report.document.formatting import joints

WIDTH = 345.0
"""The text width of LaTeX's `article` at 10 pt, in points: what no part of a table exceeds."""
_CHARACTER = 4.3
"""Points that most characters of Computer Modern take in \\footnotesize, digits among them."""
_NARROW, _WIDE = set(" .,:;'|!()[]iljtf"), set("+−±=<>×ΔmwMW")
_BOLD = 1.16
_GAP = 5.0
_NAME = 100.0
"""Points that a column of words gets before its lines break."""
_LINES = 48
"""Lines of \\footnotesize that a page holds, with room for rules."""
_HEAD = r"""% Needs \usepackage{booktabs}. With \usepackage{xcolor}, what is not significant is set in grey.
"""
_BEGIN = r"""\begin{table}[!htbp]
\centering
\footnotesize
\setlength{\tabcolsep}{2.5pt}
\def\quiet#1{\ifcsname textcolor\endcsname\textcolor[gray]{0.42}{#1}\else#1\fi}
"""

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''",
    "`": r"{\`{}}",
    # At the start of a row, TeX would take these for an argument of the row before.
    "[": "{[}", "]": "{]}", "*": "{*}",
}  # fmt: skip
_WORDS = {
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "√": r"$\surd$", "≤": r"$\le$", "≥": r"$\ge$",
    "≈": r"$\approx$", "→": r"$\to$", "°": r"$^{\circ}$", "²": "$^{2}$", "³": "$^{3}$", "µ": r"$\mu$", "∞": r"$\infty$",
    "–": "--", "—": "---", "…": r"\dots{}", "‘": "`", "’": "'", "“": "``", "”": "''", "\u00a0": "~", "\u202f": r"\,",
    "\u2009": r"\,", "\u2011": "-", "ß": r"{\ss}", "æ": r"{\ae}", "Æ": r"{\AE}", "œ": r"{\oe}", "Œ": r"{\OE}",
    "ø": r"{\o}", "Ø": r"{\O}", "ł": r"{\l}", "Ł": r"{\L}", "ı": r"{\i}", "§": r"{\S}", "¶": r"{\P}",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0323": "d", "\u0331": "b",
}  # fmt: skip
_GREEK = "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi o pi rho varsigma sigma tau "
_GREEK += "upsilon varphi chi psi omega"
_GREEK_CAPITALS = "A B Gamma Delta E Z H Theta I K Lambda M N Xi O Pi P - Sigma T Upsilon Phi X Psi Omega"


def _letters(first: str, names: str) -> dict[str, str]:
    """Greek letters from `first` on: by their command, or the Latin letter that looks the same."""
    found = {}
    for offset, name in enumerate(names.split()):
        if name != "-":
            found[chr(ord(first) + offset)] = rf"$\{name}$" if len(name) > 1 else rf"$\mathrm{{{name}}}$"
    return found


_WORDS |= _letters("Α", _GREEK_CAPITALS) | _letters("α", _GREEK)


def escape(text: str) -> str:
    """Text that LaTeX sets as it is, in ASCII. What it can't set becomes visible: 😀 is `[U+1F600]`."""
    found = "".join(map(_character, unicodedata.normalize("NFC", text)))
    # Two in a row would become one longer dash, or a quotation mark.
    return re.sub(r"([-,])(?=\1)", r"\1{}", found) if re.search(r"--|,,", text) else found


def _character(one: str) -> str:
    if one in _SPECIAL:
        return _SPECIAL[one]
    if " " <= one <= "~":
        return one
    if one in _WORDS:
        return _WORDS[one]
    base, *marks = list(unicodedata.normalize("NFD", one))
    if len(marks) == 1 and marks[0] in _ACCENTS and base.isascii() and base.isalpha():
        return rf"{{\{_ACCENTS[marks[0]]}{{{base}}}}}"
    if marks == ["\u0301"] and _WORDS.get(base, "").startswith("$"):
        return rf"$\acute{{{_WORDS[base][1:-1]}}}$"
    return rf"{{[}}U+{ord(one):04X}{{]}}\allowbreak{{}}"


def _breaking(text: str) -> str:
    """Escaped text whose names may be broken at the end of a line."""
    return r"\allowbreak{}".join(map(escape, joints(text)))


def to_latex(tables: Sequence[Table], name: str) -> str:
    """The tables as one file to be \\input, each under `\\label{tab:NAME}`, `tab:NAME-2` and so on.

    One that is wider or higher than a page of `article` stands in parts, of which each has the first column.
    """
    lines = [_HEAD]
    for place, table in enumerate(tables, start=1):
        label = re.sub(r"[^A-Za-z0-9-]", "-", name) + (f"-{place}" if place > 1 else "")
        lines.append(_floats(table, label))
    text = "\n".join(lines)
    assert text.isascii(), "a character was not escaped"
    return text


def document(names: Sequence[str]) -> str:
    """A whole document that sets the files of tables beside it: `pdflatex document.tex`."""
    inputs = "\n".join(rf"\input{{{name}}}" for name in names)
    packages = "\\usepackage{booktabs}\n\\usepackage{xcolor}"
    return f"\\documentclass{{article}}\n{packages}\n\\begin{{document}}\n{inputs}\n\\end{{document}}\n"


@dataclass(frozen=True)
class _Part:
    """Some columns and rows of a table."""

    text: str
    lines: int


def _floats(table: Table, label: str) -> str:
    """The table's parts in as few floats as hold them."""
    room = _LINES - math.ceil(len(table.caption) * _CHARACTER / WIDTH)
    floats: list[list[_Part]] = []
    for part in _parts(table, max(8, room)):
        if floats and sum(one.lines for one in floats[-1]) + part.lines <= room:
            floats[-1].append(part)
        else:
            floats.append([part])
    written = []
    caption, notes = short_caption(table.caption)
    for place, parts in enumerate(floats):
        if place == 0:
            # The list of tables gets the name: the caption may hold what can't move there.
            head = f"\\caption[{escape(table.name)}]{{{_breaking(caption)}}}\n\\label{{tab:{label}}}\n\\smallskip"
        else:
            head = "\\addtocounter{table}{-1}\n\\caption[]{Continued.}\n\\smallskip"
        body = "\n\\par\\medskip\n".join(part.text for part in parts)
        if notes and place == len(floats) - 1:
            body += f"\n\\par\\smallskip\n\\parbox{{\\linewidth}}{{\\raggedright {_breaking(notes)}}}"
        written.append(f"{_BEGIN}{head}\n{body}\n\\end{{table}}\n")
    return "\n".join(written)


def _parts(table: Table, room: int) -> list[_Part]:
    widths = [_width(table, column) for column in range(len(table.columns))]
    panels: list[list[int]] = [[0]]
    for column in range(1, len(widths)):
        taken = sum(widths[one] + _GAP for one in panels[-1])
        if len(panels[-1]) > 1 and taken + widths[column] > WIDTH:
            panels.append([0])
        panels[-1].append(column)
    parts = []
    for columns in panels:
        chunk: list[Sequence[TableCell]] = []
        for row in table.rows:
            if chunk and sum(_height(one, columns) for one in (*chunk, row)) + 2 > room:
                parts.append(_part(table, columns, chunk, widths))
                chunk = []
            chunk.append(row)
        parts.append(_part(table, columns, chunk, widths))
    return parts


def _first_line(cell: TableCell) -> str:
    """The text, or the detail where it stands alone: beside a bar, say."""
    return cell.text or cell.detail


def _second_line(cell: TableCell) -> str:
    return cell.detail if cell.text else ""


def _width(table: Table, column: int) -> float:
    """Points; a column of words breaks its lines beyond `_NAME`."""
    cells = [row[column] for row in table.rows]
    points = max(
        _points(table.columns[column]),
        *(_first_points(one) for one in cells),
        *(_points(_second_line(one)) for one in cells),
        0.0,
    )
    return points if column in table.numeric else min(points, _NAME)


def _first_points(cell: TableCell) -> float:
    text = _first_line(cell)
    bold, plain = _parted(text) if cell.tone == "strong" else ("", text)
    return _points(bold) * _BOLD + _points(plain)


def _parted(text: str) -> tuple[str, str]:
    """What is bold of a strong cell, and what is not: of a figure with its interval the figure alone."""
    figure, bracket, interval = text.partition(" [")
    return figure, bracket + interval


def _points(text: str) -> float:
    return sum(2.7 if one in _NARROW else 6.7 if one in _WIDE else _CHARACTER for one in text)


def _height(row: Sequence[TableCell], columns: Sequence[int]) -> int:
    """Lines, where columns of words may break theirs."""
    first = max(math.ceil(len(row[column].text) * _CHARACTER / _NAME) if column == 0 else 1 for column in columns)
    return first + any(_second_line(row[column]) for column in columns)


def _part(table: Table, columns: Sequence[int], rows: Sequence[Sequence[TableCell]], widths: Sequence[float]) -> _Part:
    words = [column not in table.numeric and widths[column] >= _NAME for column in columns]
    kinds = [
        "r" if column in table.numeric else f"p{{{_NAME:.0f}pt}}" if breaks else "l"
        for column, breaks in zip(columns, words, strict=True)
    ]
    lines = [f"\\begin{{tabular}}{{@{{}}{''.join(kinds)}@{{}}}}", "\\toprule"]
    lines += [_row([escape(table.columns[column]) for column in columns]), "\\midrule"]
    for row in rows:
        cells = [row[column] for column in columns]
        lines.append(_row([_text(cell, breaks) for cell, breaks in zip(cells, words, strict=True)]))
        if any(_second_line(cell) for cell in cells):
            lines.append(f"{_row([_detail(cell) for cell in cells])}[2pt]")
    lines += ["\\bottomrule", "\\end{tabular}"]
    return _Part("\n".join(lines), 2 + sum(_height(row, columns) for row in rows))


def _row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \tabularnewline"


def _text(cell: TableCell, breaks: bool) -> str:
    text = _first_line(cell)
    found = _breaking(text) if breaks else escape(text)
    match cell.tone:
        case "strong":
            bold, plain = _parted(found)
            found = rf"\textbf{{{bold}}}{plain}"
        case "quiet":
            found = rf"\quiet{{{found}}}"
    # A column of words is justified unless told otherwise, and breaks no first word.
    return rf"\raggedright\hspace{{0pt}}{found}" if breaks else found


def _detail(cell: TableCell) -> str:
    found = escape(_second_line(cell))
    return found if cell.detail_tone or not found else rf"\quiet{{{found}}}"

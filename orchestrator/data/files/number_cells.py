"""The cells of one CSV column -> numbers, in the notations that people write; only what is beyond doubt."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Decimal = Literal[".", ","]

NOTHING = frozenset(
    (
        *("", "nan", "-nan", "+nan", "na", "n/a", "n.a.", "#na", "#n/a", "#n/a n/a", "<na>", "null", "none", "nil"),
        *("-", "--", "---", ".", "..", "?", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    )
)
"""What is written where there is no value, in small letters: pandas' words and the usual dashes."""
MINUS = {ord(sign): "-" for sign in "\u2010\u2011\u2012\u2013\u2014\u2212\ufe58\ufe63\uff0d"}
SPACES = dict.fromkeys((160, 8199, 8200, 8201, 8202, 8239, 12288), " ")
MARKS = {
    **{ord("\uff0b"): "+", ord("\uff0e"): ".", ord("\uff0c"): ",", 0x066B: "."},
    **{0x2019: "'", 0x02BC: "'", 0x201C: '"', 0x201D: '"'},
}
UNSEEN = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xAD))
PLAIN = {**MINUS, **SPACES, **MARKS, **UNSEEN}
EXPONENT = r"(?:[eEdD][+-]?\d+)?"
GROUPS = {
    ".": r"[1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+|(?:'\d{3})+)|[1-9]\d?(?:,\d{2})+,\d{3}",
    ",": r"[1-9]\d{0,2}(?:(?:\.\d{3})+|(?: \d{3})+|(?:'\d{3})+)",
}
"""Digits in groups, by the decimal mark they go with: of three, or as in India two, two and three."""
FORMS = {
    mark: re.compile(rf"([+-]?) ?({groups}|\d+|(?=[{mark}]\d))(?:[{mark}](\d*))?({EXPONENT})", re.ASCII)
    for mark, groups in GROUPS.items()
}
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+", re.ASCII)
WITH_UNIT = re.compile(r"([+-]?[\d.,' ]*\d[.,]?(?:[eE][+-]?\d+)?) ?([^\d\s.,'+-][^\d]*)")
BEFORE_UNIT = re.compile(r"([+-]?) ?([$€£¥]) ?(.*\d.*)")
FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class Numbers(NamedTuple):
    """What the cells of a column hold."""

    values: NDArray[np.float64]
    """(n,): NaN where a cell holds no value or can't be read."""
    unread: int
    """How many cells are neither empty nor a finite number that can be read without doubt."""
    example: str
    """The first of them; empty: there is none."""
    notations: tuple[str, ...]
    """How numbers are written that a plain reader would not take, in words."""
    doubt: str = ""
    """A cell that has two readings, where nothing in the column tells which is meant; empty: there is none."""


def is_nothing(cell: str) -> bool:
    """Whether a cell stands for no value."""
    return cleaned(cell).lower() in NOTHING


def is_number(cell: str) -> bool:
    """Whether a cell is a number in any notation, be it one that can be read in two ways."""
    if not any(map(str.isdigit, cell)):
        return False
    text = cleaned(cell)
    return _finite(text) is not None or any(_read(text, mark) is not None for mark in FORMS) or _unit(text) is not None


def numbers_of(cells: Sequence[str], comma: bool | None, decimal: Decimal | None = None) -> Numbers:
    """The numbers that cells hold.

    `comma`: what the file's delimiter says of the decimal mark. True: it is mostly a comma; False: a point; None:
    nothing. Which mark it is, and what groups digits, is decided by all cells together, unless `decimal` is given.
    """
    values = np.full(len(cells), np.nan)
    odd: list[int] = []
    pointed: dict[int, str] = {}
    for index, cell in enumerate(cells):
        number = _finite(cell)
        if number is None:
            odd.append(index)
            continue
        values[index] = number
        if "." in cell:
            pointed[index] = cell.strip()
    texts = {index: cleaned(cells[index]) for index in odd}
    texts = {index: text for index, text in texts.items() if text.lower() not in NOTHING}
    certain = comma is False or not all(map(GROUPED.fullmatch, pointed.values()))
    if not texts and (certain if decimal is None else decimal == "."):
        return Numbers(values, 0, "", ())
    texts |= pointed  # plain points may be thousands, as the others say
    plain = [cells[index] for index in range(len(cells)) if index not in texts and not np.isnan(values[index])]
    texts, notations = _without_unit(texts, bool(plain))
    if decimal is None:
        read, doubt = _read_all(texts, plain, comma)
    else:
        read, doubt = {index: _read(text, decimal) for index, text in texts.items()}, ""
    unread = [index for index in sorted(texts) if read[index] is None]
    for index, number in read.items():
        values[index] = np.nan if number is None else number
    notations += _notations({index: cells[index] for index in texts if read[index] is not None}, read)
    return Numbers(values, len(unread), cells[unread[0]].strip() if unread else "", tuple(notations), doubt)


def decimal_of(cells: Sequence[str]) -> Decimal | None:
    """The decimal mark that the first cell shows that can be read by one alone; None where each has two readings."""
    marks: tuple[Decimal, Decimal] = (".", ",")
    for cell in cells:
        text = _bare(cleaned(cell))
        found = [mark for mark in marks if _read(text, mark) is not None]
        if len(found) == 1:
            return found[0]
    return None


def cleaned(cell: str) -> str:
    """A cell without what only surrounds its text, and with the keyboard's signs for the printer's."""
    text = cell.strip()
    if not text.isascii():
        text = "".join(
            str(unicodedata.digit(sign)) if not sign.isascii() and unicodedata.category(sign) == "Nd" else sign
            for sign in text.translate(PLAIN)
        ).strip()
    if text.startswith('="') and text.endswith('"'):  # how a number is kept as text in a spreadsheet
        text = text[2:-1]
    return text.strip('"').lstrip("'").strip()


def _finite(text: str) -> float | None:
    """The number of a plain text; None for any other, infinity among them."""
    try:
        number = float(text)
    except ValueError:
        return None
    # Python also takes 1_000, nan, and other alphabets' digits, which `cleaned` turns first.
    return number if FLOAT.fullmatch(text.strip()) and abs(number) != float("inf") else None


def _read(text: str, mark: str) -> float | None:
    """The number of a text by one decimal mark; None where it is none."""
    found = FORMS[mark].fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction, exponent = found.groups(default="")
    digits = re.sub(r"[^\d]", "", whole)
    return _finite(f"{sign}{digits or '0'}.{fraction or '0'}{exponent.lower().replace('d', 'e')}")


def _read_all(texts: dict[int, str], plain: Sequence[str], comma: bool | None) -> tuple[dict[int, float | None], str]:
    """The number of each text, as all of them together say; None where none, or two, can be meant.

    And one of them where all have two readings, and nothing tells which is meant: `1,234` may be thousands or not.
    """
    by_point, by_comma = ({index: _read(text, mark) for index, text in texts.items()} for mark in (".", ","))
    numeric = [index for index in texts if by_point[index] is not None or by_comma[index] is not None]
    points = all(by_point[index] is not None for index in numeric)
    commas = all(by_comma[index] is not None for index in numeric)
    unlike = [index for index in numeric if by_point[index] != by_comma[index]]
    if points and commas and unlike:
        marked = "," in texts[unlike[0]]
        decimal = by_comma if marked else by_point
        if any(abs(float(cell)) >= 1000 for cell in plain):  # no digits are grouped here
            return decimal, ""
        if (comma is False and not marked) or (not plain and comma is (True if marked else None)):
            return decimal, ""
        return dict.fromkeys(texts), texts[unlike[0]]
    if points or commas:
        return (by_point if points else by_comma), ""
    return {index: _surely(by_point[index], by_comma[index], text) for index, text in texts.items()}, ""


def _surely(by_point: float | None, by_comma: float | None, text: str) -> float | None:
    """The number of a text alone; None where it may be two. A point without commas is a decimal point."""
    if by_point is None or by_comma is None or by_point == by_comma:
        return by_comma if by_point is None else by_point
    return None if "," in text else by_point


def _unit(text: str) -> tuple[str, str] | None:
    """The number and the unit of a text such as `12.5 V`, `45 %` or `€ 3`; None where it is none."""
    found = WITH_UNIT.fullmatch(text)
    if found is not None:
        return found[1].strip(), found[2].strip()
    found = BEFORE_UNIT.fullmatch(text)
    return None if found is None else (found[1] + found[3].strip(), found[2])


def _without_unit(texts: dict[int, str], others: bool) -> tuple[dict[int, str], list[str]]:
    """The texts without the one unit that all cells of the column share, if they do: else a unit may scale some."""
    units = {index: _unit(text) for index, text in texts.items()}
    names = {None if unit is None else unit[1] for unit in units.values()}
    if others or len(names) != 1 or None in names:
        return texts, []
    return {index: unit[0] for index, unit in units.items() if unit is not None}, [
        f"the unit {names.pop()!r} after each"
    ]


def _notations(cells: dict[int, str], read: dict[int, float | None]) -> list[str]:
    """In words, what of these cells a plain reader would not have taken."""
    texts = {index: cleaned(cell) for index, cell in cells.items()}
    tests: dict[str, Callable[[int], bool]] = {
        "decimal commas": lambda index: "," in texts[index] and read[index] == _read(_bare(texts[index]), ","),
        "digits in groups": lambda index: (
            bool(re.search(r"\d[,.' ]\d{3}(?!\d)", texts[index]))
            and read[index] != _finite(_bare(texts[index]).replace(",", "."))
        ),
        "printer's signs (minus, spaces, digits)": lambda index: not cells[index].strip().isascii(),
        'numbers kept as text (="…")': lambda index: cells[index].strip().startswith(("=", "'", '"')),
    }
    return [words for words, holds in tests.items() if any(map(holds, cells))]


def _bare(text: str) -> str:
    unit = _unit(text)
    return text if unit is None else unit[0]

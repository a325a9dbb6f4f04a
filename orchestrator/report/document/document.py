"""What a report is made of: one description from which HTML, Markdown and CSV are written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class TableCell:
    """One printed cell."""

    text: str
    detail: str = ""
    """What stands beside the text, smaller: an interval."""
    shade: float | None = None
    """0 to 1: how deep its background is."""
    tone: Literal["", "good", "bad", "quiet", "strong"] = ""
    detail_tone: Literal["", "good", "bad"] = ""
    """Of the detail, which is quiet otherwise."""
    bar: tuple[float, float, float, float] | None = None
    """(low, mean, high, reference), each a share of the column's width; the text then stands for it."""


@dataclass(frozen=True)
class Table:
    """A table as it is printed, and the numbers behind it."""

    name: str
    """Of its CSV file, without the suffix."""
    caption: str
    """Plain text that stands alone: what, on which part, how many."""
    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    """The first cell of each heads its row."""
    numeric: frozenset[int] = frozenset()
    """The columns that are set flush right."""
    corner: bool = False
    """True for a matrix: the columns are headed by class names, too."""
    stacked: bool = False
    """True where details stand below their texts, so that many columns find room."""
    drawn: str = ""
    """What the caption adds on the page, which draws intervals."""


@dataclass(frozen=True)
class Chart:
    """A figure as SVG, and what it is drawn from again for print."""

    title: str
    caption: str
    alt: str
    """What it shows, for who can't see it."""
    svg: str
    of: Sequence[str] = ()
    """What its files are named after: its kind, then the names from the data."""
    figure: "Figure | None" = field(default=None, repr=False, compare=False)
    """None: it is in the page only."""


@dataclass(frozen=True)
class Charts:
    """Figures side by side."""

    charts: Sequence[Chart]


@dataclass(frozen=True)
class Facts:
    """Names and their values."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Listing:
    """Short lines, each a point."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Text to be copied."""

    text: str


@dataclass(frozen=True)
class Fold:
    """Blocks that a reader may open."""

    title: str
    blocks: Sequence["Block"]
    opened: bool = False


@dataclass(frozen=True)
class Strip:
    """Pictures of one size, side by side in one image."""

    label: str
    alt: str
    data: str
    """A data URI of a PNG or JPEG."""
    pictures: int
    width: int
    """Of one picture, in its own pixels."""
    height: int
    exact: bool
    """True where its pixels are shown as they are, enlarged without smoothing."""


@dataclass(frozen=True)
class Strips:
    """Strips one below the other, of pictures that may belong together."""

    title: str
    strips: Sequence[Strip]


@dataclass(frozen=True)
class Card:
    """What one model does, in plain counts."""

    title: str
    lines: Sequence[str]
    warnings: Sequence[str] = ()
    """What speaks against it."""


@dataclass(frozen=True)
class Tile:
    """One picture with what is to be seen in it."""

    label: str
    detail: str
    data: str
    """A data URI of a PNG or JPEG."""
    alt: str
    width: int
    height: int
    exact: bool
    """True where its pixels are shown as they are, enlarged without smoothing."""
    tone: Literal["", "good", "bad"] = ""


@dataclass(frozen=True)
class Headline:
    """What stands above all else: the verdict, the ranking as one figure, the winner in counts, what it sees."""

    verdict: str
    """Plain text that stands alone."""
    chart: Chart | None = None
    card: Card | None = None
    tiles: Sequence[Tile] = ()
    seen: str = ""
    """What the tiles are, or why there are none."""


Block = Table | Charts | Facts | Listing | Code | Fold | Strips


@dataclass(frozen=True)
class Section:
    """A headed part of the page."""

    key: str
    """Its anchor."""
    title: str
    text: Sequence[str] = ()
    """Paragraphs."""
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class Report:
    """The whole report, before it becomes a page."""

    title: str
    subtitle: str
    asked: Sequence[str]
    found: Sequence[str]
    notices: Sequence[str]
    """What a reader must know before believing a figure."""
    sections: Sequence[Section]
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    """The tables' full numbers by name: a CSV each."""
    partial: str = ""
    """What is still missing of what was asked, with counts; empty where nothing is."""
    printed: dict[str, Sequence[Table]] = field(default_factory=dict)
    """Tables that papers quote, by name: each also as HTML, Markdown and LaTeX."""
    parquets: dict[str, pd.DataFrame] = field(default_factory=dict)
    """What is too wide for a CSV, by name."""
    headline: Headline | None = None
    marks: Sequence[str] = ()
    """What stands before all else, because it casts doubt on all else."""

"""What captions say: once for figures that stand together, and short enough for a float of LaTeX."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.document.document import Chart

MOST_WORDS = 40
"""Of a caption in print; the rest becomes notes below the table."""


@dataclass(frozen=True)
class Captions:
    """The captions of figures that stand together."""

    own: Sequence[str]
    """Of each figure, what it alone says."""
    shared: str
    """The sentences that all of them have, in their order; empty where there are none."""


def sentences(text: str) -> list[str]:
    """The text cut behind the full stops, colons kept: joined by spaces they give the text again."""
    return re.split(r"(?<=[.!?]) (?=[^a-z])", text)


def captions_of(charts: Sequence[Chart]) -> Captions:
    """What several captions repeat is said once; nothing is lost. One figure keeps its caption whole."""
    parts = [sentences(chart.caption) for chart in charts]
    if len(parts) < 2:
        return Captions([chart.caption for chart in charts], "")
    shared = [one for one in dict.fromkeys(parts[0]) if one and all(one in other for other in parts[1:])]
    return Captions([" ".join(one for one in own if one not in shared) for own in parts], " ".join(shared))


def short_caption(text: str) -> tuple[str, str]:
    """A caption of at most MOST_WORDS words, and the rest as notes; a first sentence that is longer is cut, and the
    notes hold it whole."""
    parts = sentences(text)
    kept = 0
    while kept < len(parts) and len(" ".join(parts[: kept + 1]).split()) <= MOST_WORDS:
        kept += 1
    if kept:
        return " ".join(parts[:kept]), " ".join(parts[kept:])
    return f"{' '.join(text.split()[: MOST_WORDS - 1])} …", text

"""A report's figures as files for print: PDF, PNG and SVG that need no page around them."""

import io
import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from matplotlib.figure import Figure

from orchestrator.report.document.document import Block, Chart, Charts, Fold, Report
from orchestrator.report.figures.print_font import print_font
from orchestrator.report.figures.svg import VARIABLES, drawing, missing_glyphs, restyled
from trainables.files import text_sha256

DOTS_PER_INCH = 300
SUFFIXES = (".pdf", ".png", ".svg")
_LONGEST = 40
"""Characters of one name in a file's name."""
MANY = 24
"""Charts from which on a second process, some seconds in starting, is worth it."""
Named = Sequence[tuple[str, Chart]]
"""Charts with the names of their files, without suffix."""


def charts_of(report: Report) -> list[Chart]:
    """Every chart of the report that can be drawn again, in the order of the page."""
    first = [report.headline.chart] if report.headline is not None and report.headline.chart is not None else []
    others = (chart for section in report.sections for chart in _charts(section.blocks))
    return [chart for chart in (*first, *others) if chart.figure is not None]


def _charts(blocks: Iterable[Block]) -> Iterator[Chart]:
    for block in blocks:
        if isinstance(block, Charts):
            yield from block.charts
        elif isinstance(block, Fold):
            yield from _charts(block.blocks)


@contextmanager
def figure_files(charts: Sequence[Chart]) -> Iterator[Iterator[tuple[str, bytes]]]:
    """Each file's name and its bytes, one after the other; the same charts give the same bytes.

    Of many, another process draws a part from when the context is entered. Call within `drawing`. On white, fonts
    embedded as TrueType in the PDF; names of the data are made safe for any file system and stay the same as long as
    the data's names do.
    """
    named = list(zip(file_names([chart.of for chart in charts]), charts, strict=True))
    own = 3 * len(named) // 5 if len(named) >= MANY and (os.cpu_count() or 1) > 1 else len(named)
    with _in_another_process(named[own:]) as others:
        yield (file for part in (lambda: _files(named[:own]), others) for file in part())


def _files(named: Named) -> Iterator[tuple[str, bytes]]:
    if not named:
        return
    with print_font() as font:
        for name, chart in named:
            if chart.figure is not None:
                yield f"{name}.svg", standalone(chart).encode("utf-8")
                font.put_on(chart.figure)
                yield f"{name}.pdf", _drawn(chart.figure, "pdf")
                yield f"{name}.png", _drawn(chart.figure, "png")


@contextmanager
def _in_another_process(named: Named) -> Iterator[Callable[[], Iterable[tuple[str, bytes]]]]:
    """Have some files drawn while this process draws others; what is given waits for them.

    Not by multiprocessing, which would run a caller's unguarded script once more.
    """
    if not named:
        yield lambda: ()
        return
    # Files, not pipes: neither side ever waits for the other to read.
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as drawn:
        pickle.dump(named, asked)
        asked.seek(0)
        # -P: the current folder may be a run's, and Python would take a `matplotlib.py` in it for the library.
        program = [sys.executable, "-P", "-m", "orchestrator.report.figures.figure_files"]
        process = subprocess.Popen(program, stdin=asked, stdout=drawn, stderr=subprocess.DEVNULL)

        def finished() -> Iterable[tuple[str, bytes]]:
            if process.wait() != 0:
                return _files(named)
            drawn.seek(0)
            found: list[tuple[str, bytes]] = pickle.load(drawn)
            return found

        try:
            yield finished
        finally:
            process.kill()
            process.wait()


def file_names(names: Sequence[Sequence[str]]) -> list[str]:
    """A file's name, without suffix, for each: its parts joined, safe on any file system, no two alike.

    A part that had to be changed gets a hash of what it was, so that it keeps its file whatever stands beside it.
    """
    taken: set[str] = set()
    found = []
    for parts in names:
        base = name = "-".join(_safe(part) for part in parts) or "figure"
        copies = 1
        while name.casefold() in taken:
            copies += 1
            name = f"{base}-{copies}"
        taken.add(name.casefold())
        found.append(name)
    return found


def _safe(part: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.]+", "_", part).strip("._")[:_LONGEST]
    if plain == part:
        return part
    return f"{plain}_{text_sha256(part, 'surrogatepass')[:8]}".lstrip("_")


def standalone(chart: Chart) -> str:
    """The page's SVG with its colours and font written out, on white."""
    text = restyled(chart.svg, {f"var({variable})": colour for colour, variable in VARIABLES.items()})
    width, height = re.match(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups()  # type: ignore[union-attr]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}pt" '
        f'height="{height}pt" viewBox="0 0 {width} {height}" font-family="DejaVu Sans, Verdana, sans-serif">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}{text.partition(">")[2].lstrip()}\n'


def _drawn(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # No dates and versions: the same figure is the same file.
    metadata = {"CreationDate": None, "Producer": None, "Creator": None} if kind == "pdf" else {"Software": None}
    with missing_glyphs():
        figure.savefig(buffer, format=kind, dpi=DOTS_PER_INCH, facecolor="white", metadata=metadata)
    return buffer.getvalue()


if __name__ == "__main__":
    with drawing():
        pickle.dump(list(_files(pickle.load(sys.stdin.buffer))), sys.stdout.buffer)

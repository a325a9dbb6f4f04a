"""Rendering with a line of progress: a step of a run, and the command `orchestrate render`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.data.files.series import SeriesError, read_series
from orchestrator.data.fill.pipeline import Filled, fill_store
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.layouts.table import LayoutName, find_files
from orchestrator.data.picture_size import Size, checked_size, sides
from orchestrator.machine.engine import Engine
from orchestrator.machine.progress import Reporter
from trainables.errors import InputError
from trainables.own_code import read_anew

LOOKED_AT = 20
"""Files that are tried to learn which column is plotted, before any is drawn."""


@dataclass(frozen=True)
class Rendered:
    """What became of a tree."""

    filled: Filled
    folder: Path

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        store = self.filled.store
        return {
            "store": str(self.folder),
            "pictures": len(store.paths),
            "rendered": self.filled.rendered,
            "reused": self.filled.reused,
            "shape": list(store.pictures.shape[1:]),
            "classes": list(store.classes),
            "fingerprint": store.fingerprint,
            "skipped": [{"path": skipped.path, "reason": skipped.reason} for skipped in store.skipped],
        }

    def text(self) -> str:
        """For a person."""
        store = self.filled.store
        height, width, _ = store.pictures.shape[1:]
        lines = [
            f"{len(store.paths)} pictures of {height}x{width} in {len(store.classes)} classes: "
            f"{self.filled.rendered} rendered, {self.filled.reused} were there already.",
            *skipped_lines(self.filled),
            f"Store: {self.folder}",
        ]
        return "\n".join(lines)


def render(
    csv_root: str | Path,
    out: str | Path,
    *,
    style: str = "seed",
    size: Size | None = 224,
    column: str | None = None,
    png: str | Path | None = None,
    strict: bool = False,
    reporter: Reporter | None = None,
) -> Rendered:
    """Render the CSVs below `csv_root` into the store of pictures in the folder `out`; what is there stays.

    `size`: N pixels a side or (height, width); None: each plot's own. `column`: the one to plot; unset: `data`, else
    `value`, else the first. `png`: a folder that gets each picture as a PNG file too. `strict` makes a file that can't
    be used fatal instead of skipped. `reporter` says what happens; unset, on standard error. InputError for what can't
    be read, drawn or written.
    """
    try:
        height_width = None if size is None else sides(checked_size(size))
    except (TypeError, ValueError) as error:
        raise InputError(f"{error}. Give N, (height, width), or None for full size.") from None
    read_anew()
    reporter, root, folder = reporter or Reporter(), Path(csv_root), Path(out)
    for remark in column_remarks(find_files(root, "series"), column):
        reporter.say(remark)
    engine = Engine()
    try:
        filled = fill_with_line(
            reporter,
            engine,
            root,
            folder,
            layout="series",
            style=style,
            size=height_width,
            column=column,
            png=None if png is None else Path(png),
            strict=strict,
        )
    finally:
        engine.stop()
    return Rendered(filled, folder.absolute())


def fill_with_line(
    reporter: Reporter,
    engine: Engine,
    root: Path,
    folder: Path,
    *,
    layout: LayoutName,
    style: str,
    size: tuple[int, int] | None,
    column: str | None,
    strict: bool,
    bits: int | None = None,
    resumed: bool = False,
    png: Path | None = None,
    title: str = "render",
) -> Filled:
    """Fill a store as `fill_store` does, showing pictures done, pictures a second and the time left."""
    with reporter.line(title, 0, "pictures") as line:
        filled = fill_store(
            root,
            folder,
            layout=layout,
            style=style,
            size=size,
            column=column,
            bits=bits,
            resumed=resumed,
            strict=strict,
            png=png,
            start_engine=engine.start,
            on_progress=lambda progress: line.update(
                progress.done,
                f"{progress.rate:.0f} pictures/s" if progress.done < progress.total else "",
                total=progress.total,
                seconds_left=progress.seconds_left,
            ),
        )
    for remark in filled.remarks:
        reporter.say(remark)
    return filled


def column_remarks(listing: Listing, column: str | None) -> list[str]:
    """A remark where a column was taken only because it is the first of several: it may be the time's."""
    if column is not None or not listing.layout.plots:
        return []
    for file in listing.files[:LOOKED_AT]:
        try:
            series = read_series(listing.root / file.path)
        except SeriesError:
            continue
        if series.column in ("data", "value") or series.columns == 1:
            return []
        rising = " Its values only rise, as a time's do." if bool((np.diff(series.values) > 0).all()) else ""
        return [
            f"Plotting column {series.column!r}, the first of {series.columns}, since none is named data or value "
            f"(seen in {file.path!r}).{rising} Choose another with data.column (render: --column)."
        ]
    return []


def skipped_lines(filled: Filled, most: int = 5) -> list[str]:
    """What was left out and why: the first few, and how many more."""
    skipped = filled.store.skipped
    lines = [f"Skipped {len(skipped)} files:"] if skipped else []
    lines += [f"  - {one.path!r}: {one.reason}" for one in skipped[:most]]
    if len(skipped) > most:
        lines.append(f"  - and {len(skipped) - most} more; all stand in {filled.store.folder / 'index.json'}")
    return lines

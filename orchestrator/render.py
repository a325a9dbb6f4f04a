"""Rendering with a line of progress: a step of a run, and the command `orchestrate render`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.data.layouts import Listing, find_files
from orchestrator.data.render_pipeline import Filled, fill_store
from orchestrator.data.series import SeriesError, read_series
from orchestrator.engine import Engine
from orchestrator.experiment import checked_size
from orchestrator.progress import Reporter
from trainables.errors import InputError

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


def render_tree(
    root: Path,
    folder: Path,
    *,
    style: str,
    size: tuple[int, int] | None,
    column: str | None,
    png: Path | None,
    strict: bool,
    reporter: Reporter,
) -> Rendered:
    """Render the CSVs below `root` into the store `folder`."""
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
            size=size,
            column=column,
            png=png,
            strict=strict,
        )
    finally:
        engine.stop()
    return Rendered(filled, folder.absolute())


def fill_with_line(
    reporter: Reporter, engine: Engine, root: Path, folder: Path, title: str = "render", **options: Any
) -> Filled:
    """Fill a store, showing pictures done, pictures a second and the time left."""
    with reporter.line(title, 0, "pictures") as line:
        filled = fill_store(
            root,
            folder,
            **options,
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
    if column is not None or listing.layout != "series":
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


def parse_size(text: str) -> tuple[int, int] | None:
    """`N`, `HxW` or `full` -> (height, width), or None for full size."""
    if text == "full":
        return None
    sides = text.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(side.isdecimal() for side in sides):
        raise InputError(f"--size is {text!r}; it must be N, HxW (such as 40x72) or full.")
    height, width = int(sides[0]), int(sides[-1])
    try:
        checked_size((height, width))
    except ValueError as error:
        raise InputError(f"--{error}.") from None
    return height, width

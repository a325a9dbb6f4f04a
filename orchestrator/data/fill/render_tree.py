"""Rendering with a line of progress: a step of a run, and the command `orchestrate render`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.data.files.series import DECIMAL_MARKS, GAPS, DecimalMark, Gaps
from orchestrator.data.files.series_remarks import early_remarks
from orchestrator.data.files.source_files import kinds_for
from orchestrator.data.fill.pipeline import Filled, fill_store
from orchestrator.data.fill.progress_count import Progress
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.layouts.table import LayoutName, find_any_files
from orchestrator.data.picture_size import Size, checked_size, sides
from orchestrator.data.store.upkeep import writing
from orchestrator.machine.engine import Engine
from orchestrator.machine.markers import markers
from orchestrator.machine.node_checks import check_nodes, unseen
from orchestrator.machine.node_probe import Question
from orchestrator.machine.nodes import ask
from orchestrator.machine.progress import Reporter
from orchestrator.machine.shipping import Shipping
from trainables.errors import InputError
from trainables.own_code import read_anew


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
            "remarks": list(store.remarks),
            "skipped": [{"path": skipped.path, "reason": skipped.reason} for skipped in store.skipped],
        }

    def text(self) -> str:
        """For a person."""
        store = self.filled.store
        height, width, _ = store.pictures.shape[1:]
        folders = len(store.classes)
        lines = [
            f"{len(store.paths)} pictures of {height}x{width} in {folders} {'folder' if folders == 1 else 'folders'}: "
            f"{self.filled.rendered} rendered, {self.filled.reused} were there already.",
            *skipped_lines(self.filled),
            *store.remarks,
            f"Store: {self.folder}",
        ]
        return "\n".join(lines)


def render(
    csvs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    style: str = "seed",
    size: Size | None = 224,
    column: str | None = None,
    gaps: str = "drop",
    decimal: str = "auto",
    png: str | Path | None = None,
    strict: bool = False,
    reporter: Reporter | None = None,
) -> Rendered:
    """Render CSVs into the store of pictures in the folder `out`; what is there stays.

    `csvs`: a folder, of whatever tree, or files. `size`: N pixels a side or (height, width); None: each plot's own.
    `column`: the one to plot; unset: `data`, else `value`, else the first. `gaps`: what becomes of rows without a
    number: drop, break or interpolate. `decimal`: auto, or the mark that is meant where numbers leave it in doubt:
    point or comma. `png`: a folder that gets each picture as a PNG file too. `strict` makes a file that can't be used,
    or a cell that can't be read, fatal instead of skipped. `reporter` says what happens; unset, on standard error.
    InputError for what can't be read, drawn or written.
    """
    try:
        height_width = None if size is None else sides(checked_size(size))
    except (TypeError, ValueError) as error:
        raise InputError(f"{str(error).rstrip('.')}. Give N, (height, width), or None for full size.") from None
    read_anew()
    reporter, folder = reporter or Reporter(), Path(out)
    mark = next((one for one in DECIMAL_MARKS if one == decimal), None)
    if mark is None:
        raise InputError(f"decimal is {decimal!r}; it must be one of: {', '.join(DECIMAL_MARKS)}.")
    known_gaps = next((one for one in GAPS if one == gaps), None)
    if known_gaps is None:
        raise InputError(f"gaps is {gaps!r}; it must be one of: {', '.join(GAPS)}.")
    listing = find_any_files([Path(csvs)] if isinstance(csvs, str | Path) else [Path(one) for one in csvs], "series")
    for remark in (*listing.remarks, *early_remarks(listing, column, mark)):
        reporter.say(remark)
    engine, exported = Engine(), None if png is None else Path(png)
    try:
        filled = fill_with_line(
            reporter,
            engine,
            listing,
            folder,
            layout="series",
            style=style,
            size=height_width,
            column=column,
            gaps=known_gaps,
            decimal=mark,
            png=exported,
            strict=strict,
            shipping=_shipping(engine, listing, folder, exported, reporter) if engine.remote else None,
        )
    finally:
        engine.stop()
    return Rendered(filled, folder.absolute())


def _shipping(engine: Engine, listing: Listing, folder: Path, png: Path | None, reporter: Reporter) -> Shipping | None:
    """What a cluster's workers need, where not all machines see the files and the folders; None where they do."""
    engine.start()
    names = {folder.absolute(): "the store"} | ({} if png is None else {png.absolute(): "the PNG folder"})
    ends = dict.fromkeys(str(listing.root.absolute() / file.path) for file in (*listing.files[:1], *listing.files[-1:]))
    with writing(folder), markers(names) as places:
        content = {marker: Path(marker).read_text(encoding="ascii") for marker in places}
        nodes = ask(Question(markers=content, files=tuple(ends)))
    for remark in check_nodes(nodes):
        reporter.say(remark)
    blind = [node.label for node in nodes.working if unseen(node, nodes.here, list(places.items()))]
    if not blind:
        return None
    reporter.say(f"{', '.join(blind)} do not see all of the files: these are read and written here, and travel by Ray.")
    return Shipping(kinds_for(listing.root, *names))


def fill_with_line(
    reporter: Reporter,
    engine: Engine,
    root: Path | Listing,
    folder: Path,
    *,
    layout: LayoutName,
    style: str,
    size: tuple[int, int] | None,
    column: str | None,
    gaps: Gaps = "drop",
    decimal: DecimalMark = "auto",
    strict: bool,
    bits: int | None = None,
    upright: bool | None = None,
    resumed: bool = False,
    sights: bool = False,
    png: Path | None = None,
    title: str = "render",
    shipping: Shipping | None = None,
) -> Filled:
    """Fill a store as `fill_store` does, showing pictures done, pictures a second and the time left."""
    with reporter.line(title, 0, "pictures") as line:

        def show(progress: Progress) -> None:
            line.waits(progress.waits)
            line.update(
                progress.done,
                f"{progress.rate:.0f} pictures/s" if progress.rate and progress.done < progress.total else "",
                total=progress.total,
                seconds_left=progress.seconds_left,
            )

        filled = fill_store(
            root,
            folder,
            layout=layout,
            style=style,
            size=size,
            column=column,
            gaps=gaps,
            decimal=decimal,
            bits=bits,
            upright=upright,
            resumed=resumed,
            sights=sights,
            strict=strict,
            png=png,
            start_engine=engine.start,
            shipping=shipping,
            on_progress=show,
        )
    for remark in filled.remarks:
        reporter.say(remark)
    return filled


def skipped_lines(filled: Filled, most: int = 5) -> list[str]:
    """What was left out and why: the first few, and how many more."""
    skipped = filled.store.skipped
    drawn, s = len(filled.store.paths), "" if len(skipped) == 1 else "s"
    lines = [f"Skipped {len(skipped)} file{s}, {drawn} of {drawn + len(skipped)} gave a picture:"] if skipped else []
    lines += [f"  - {one.path!r}: {one.reason}" for one in skipped[:most]]
    if len(skipped) > most:
        lines.append(f"  - and {len(skipped) - most} more; all stand in {filled.store.folder / 'index.json'}")
    return lines

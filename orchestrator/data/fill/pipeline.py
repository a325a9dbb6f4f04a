"""A tree of files -> a store, by Ray Data: what is missing is drawn in parallel, each worker writing its own shards."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np

from orchestrator.data.files.content_hashes import digest, look_at
from orchestrator.data.files.picture_layers import planes_of
from orchestrator.data.files.series import DecimalMark, Gaps
from orchestrator.data.files.source_files import ShippedSources, SourceFiles, SourceFolder
from orchestrator.data.fill.draw_batch import DrawBatch
from orchestrator.data.fill.drawing import recipe_of, shape_of
from orchestrator.data.fill.png_export import Export, WritePngs
from orchestrator.data.fill.progress_count import Progress, Step
from orchestrator.data.fill.store_entries import Filling, refuse_failures
from orchestrator.data.fill.value_range import knows_facts, look_into, settled_bits
from orchestrator.data.fill.worker_results import BatchResult, Drawn, Written
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.layouts.table import LAYOUTS, LayoutName, find_files
from orchestrator.data.store.shards import Shape, rows_per_shard
from orchestrator.data.store.store import Recipe, Store, store_of
from orchestrator.data.store.upkeep import claimed, finish, is_current, knows_sights, unwritable
from orchestrator.machine.cluster import cluster_address
from orchestrator.machine.shipping import Shipping
from orchestrator.machine.worker_pool import by_workers
from trainables.errors import InputError
from trainables.own_code import OwnFiles
from trainables.small_files import FolderFiles, SmallFiles

BATCHES_A_WORKER = 8
"""Where the files are few: so many shards a worker, for an even end and for progress that moves."""
LEAST_ROWS = 16
LEAST_POOL = 16
"""Workers that jobs on a cluster are divided for, at least: nodes may join, and what a lost one had is done again."""
WORTH_A_WORKER = 64
BYTES_WORTH_A_WORKER = 32 * 2**20
"""Jobs, and bytes to read, below both of which another worker costs more than it saves: it starts for some five
seconds, in which one draws 32 MiB of CSVs (5,000 points, 50 to 100 KB, in 10 ms)."""
PNG_ROWS = 64
"""The most PNG files that one batch writes."""
DRAWN_AGAIN = (
    "An older release filled the store of pictures and did not note what is seen in each file, by which duplicates are "
    "told: they were drawn again, once."
)


@dataclass(frozen=True)
class Filled:
    """A store, and what it took."""

    store: Store
    rendered: int
    """Pictures drawn now. Files with the same bytes are one picture."""
    reused: int
    """Pictures of the store that did not have to be drawn now."""
    remarks: tuple[str, ...] = ()
    """What the user should know of how they were drawn: a worker that could not use the fast way, say."""


@dataclass(frozen=True)
class Workers:
    """How the work is spread, and who is told."""

    most: int | None
    start_engine: Callable[[], None] | None
    on_progress: Callable[[Progress], None] | None
    shipping: Shipping | None = None


def fill_store(
    root: Path | Listing,
    folder: Path,
    *,
    layout: LayoutName,
    style: str = "seed",
    size: tuple[int, int] | None,
    column: str | None = None,
    gaps: Gaps = "drop",
    decimal: DecimalMark = "auto",
    bits: int | None = None,
    upright: bool | None = None,
    resumed: bool = False,
    sights: bool = False,
    strict: bool = False,
    png: Path | None = None,
    workers: int | None = None,
    start_engine: Callable[[], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    shipping: Shipping | None = None,
) -> Filled:
    """Make the store in `folder` hold the picture of every file below `root`, drawing only those it does not hold.

    The files lie as `layout` says, in two classes at least; or `root` is a listing of them, however they lie.
    `size` is (height, width), or None for each picture's own. `gaps`: what becomes of a series' rows without a number.
    `decimal`: the decimal mark of series, where they leave it in doubt. `bits` is what pictures of more than 8 bits a
    channel use of them; None: the least that hold the largest value of all, or, if `resumed`, what the store was made
    with. `upright`: whether turns by EXIF are followed; None: as it goes with depth and masks. `sights`: what is seen
    in each file must be known, by which duplicates are told; what an older release drew, which did not note it, is
    drawn again. `png` is a folder that gets each picture as a PNG too, named as the files are (`a/b.csv` -> `a/b.png`).
    Files that give no picture are left out, with the reason, or, if `strict`, are an InputError, as are series with
    cells that can't be read. At most `workers` (else as many as there are CPUs) draw at a time.
    `start_engine` is called where there is something to draw and must leave Ray initialised; without it Ray must run
    already. What was interrupted goes on from the shards that are whole. One process at a time fills a store; the
    workers may be on several machines, if these share `root`, `folder` and `png` under the same paths, or if
    `shipping` does for them what is done there.

    Raises InputError on a root or a folder that can't be used, pictures of several sizes where none is set, a folder
    that holds another recipe's pictures, and where no file, or only one class, gives pictures.
    """
    if png is not None:
        among = root.root if isinstance(root, Listing) else root
        _refuse_overlap(png, folder, None if LAYOUTS[layout].plots else among)
    crew = Workers(workers, start_engine, on_progress, shipping)
    listing = root if isinstance(root, Listing) else find_files(root, layout)
    looks = look_at(listing)
    facts = look_into(listing, looks, folder)
    used = settled_bits(facts, bits, folder, resumed)
    recipe = recipe_of(layout, style, size, column, planes_of(listing.files), gaps, decimal, used, upright)
    shape = shape_of(recipe, listing)
    remarks: tuple[str, ...]
    with claimed(folder, recipe) as before:
        seen = digest(listing, looks)
        known = before is not None and (not sights or knows_sights(folder, before, listing.layout.plots))
        if known and before and is_current(folder, before, recipe, shape, seen) and knows_facts(before, listing):
            index, rendered, remarks = before, 0, ()
        else:
            filling = Filling(listing, looks, folder, recipe, shape, before, facts, sights)
            where = _places(listing.root.absolute(), folder.absolute() / "shards", shipping)
            _render(crew, filling, folder, (*where, recipe, shape, OwnFiles()))
            index, rendered = filling.index(least_classes=1 if listing is root else 2), filling.rendered
            remarks = (*([DRAWN_AGAIN] if before is not None and not known else ()), *sorted(filling.remarks))
        if strict:
            refuse_failures(index, listing.root)
        if index != before:
            index = finish(folder, recipe, index)
        store = store_of(folder, recipe, index)
        if png is not None:
            with Export(folder, png, index) as export:
                missing, pictures, files = export.missing(), store.pictures, FolderFiles(png.absolute(), made=False)
                if shipping is not None and missing:
                    _start(crew)
                    pictures, files = pictures.shipped(shipping), shipping.files(files.folder, made=False)
                writing = (pictures, files, LAYOUTS[layout].plots)
                written = work(crew, "png", WritePngs, writing, missing, PNG_ROWS)
                for result in cast("Iterator[Written]", written):
                    export.add(result)
    return Filled(store, rendered, max(0, len(store.paths) - rendered), remarks)


def _refuse_overlap(png: Path, store: Path, pictures: Path | None) -> None:
    """InputError where PNG files would lie in the store, or among the pictures that the next run takes in."""
    for other, what in ((store, "the store"), (pictures, "the pictures they are made from")):
        if other is not None and png.resolve().is_relative_to(other.resolve()):
            raise InputError(
                f"The PNG folder {str(png)!r} lies in {str(other)!r}, with {what}. Choose another (--png)."
            )


def _places(root: Path, shards: Path, shipping: Shipping | None) -> tuple[SourceFolder, FolderFiles]:
    """What workers read, and where they write shards."""
    if shipping is None:
        return SourceFolder(str(root)), FolderFiles(shards, made=False)
    return ShippedSources(str(root), shipping=shipping), shipping.files(shards, made=False)


def _render(
    crew: Workers, filling: Filling, folder: Path, arguments: tuple[SourceFiles, SmallFiles, Recipe, Shape, OwnFiles]
) -> None:
    """Draw what is missing. What was drawn before an error stays for the next run."""
    missing = filling.missing()
    drawn = work(crew, "render", DrawBatch, arguments, missing, rows_per_shard(arguments[3]), filling.bytes_of(missing))
    for result in cast("Iterator[Drawn]", drawn):
        if result["error"]:
            raise unwritable(folder, result["error"])
        filling.add(result)


def work(
    crew: Workers,
    name: str,
    worker: type,
    arguments: tuple[Any, ...],
    jobs: Sequence[Any],
    most: int,
    content: int = 0,
) -> Iterator[BatchResult]:
    """Have `jobs` done in batches of at most `most`; each batch's result, in the order of completion.

    Jobs and results are what JSON holds; a result's `drawn` and `failed` are counted. `content`: the bytes that the
    jobs read. Ray is left alone where there are no jobs. A pool of `worker` objects, each with one CPU and one thread,
    does them; a killed one is replaced and its batch done again.
    """
    if not jobs:
        return
    step = Step(name, len(jobs), crew.on_progress)
    _start(crew)
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus = max(1, int(resources.get("CPU", 1)))
    pool = min(crew.most or cpus, cpus)
    if cluster_address() is not None:
        pool = crew.most or max(cpus, LEAST_POOL)
    batches = divided(jobs, most, pool)
    pool = min(len(batches), workers_for(len(jobs), content, pool))
    for result in by_workers(worker, arguments, batches, most=pool, waits=step.waits):
        yield result
        step.advance(len(result["drawn"]) + len(result["failed"]), len(result["failed"]))


def _start(crew: Workers) -> None:
    """Have Ray run, and what does for workers what they can't."""
    import ray  # a second or more, which a store with nothing to draw must not cost

    if not ray.is_initialized() and crew.start_engine is not None:
        crew.start_engine()
    assert ray.is_initialized(), "Ray must run already, or start_engine must start it"
    if crew.shipping is not None:
        crew.shipping.start()


def workers_for(jobs: int, content: int, most: int) -> int:
    """How many workers, at most `most`, are worth their start for so many jobs that read so many bytes."""
    return max(1, min(most, math.ceil(max(jobs / WORTH_A_WORKER, content / BYTES_WORTH_A_WORKER))))


def divided(jobs: Sequence[Any], most: int, pool: int) -> list[list[Any]]:
    """Batches of nearly one length, at most `most`; shorter ones where the jobs are few for a pool of this size."""
    rows = min(most, max(LEAST_ROWS, math.ceil(len(jobs) / (BATCHES_A_WORKER * pool))))
    count = math.ceil(len(jobs) / rows)
    edges = np.linspace(0, len(jobs), count + 1).round().astype(int).tolist()
    return [list(jobs[start:end]) for start, end in pairwise(edges)]

"""What a worker of the render pipeline does."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from orchestrator.data.files.content_hashes import Sources, each_sources
from orchestrator.data.files.links import without_quotes
from orchestrator.data.files.series import Reading
from orchestrator.data.files.sight import Sight
from orchestrator.data.files.source_files import SourceFiles
from orchestrator.data.fill.drawing import Drawer, DrawingError, Mishap, ShapeError, place_on, recipe_of
from orchestrator.data.fill.worker_results import Drawn
from orchestrator.data.layouts.listing import ListedFile
from orchestrator.data.store.shards import Shape, rows_per_shard, write_shard
from orchestrator.data.store.store import Recipe
from orchestrator.machine.worker_pool import as_batches
from trainables.own_code import OwnFiles
from trainables.small_files import SmallFiles

Job = tuple[str, str | None, str | None]
"""Picture, depth and mask, relative to the root."""


class DrawBatch:
    """What a worker does: read and draw a batch of files, write them as one shard, and return what became of each."""

    def __init__(
        self, files: SourceFiles, shards: SmallFiles, recipe: Recipe, shape: Shape, own: OwnFiles | None = None
    ) -> None:
        """`files` are drawn into `shards`. `own`: the files of the user's own code, which a worker has once it has
        received them."""
        told = (recipe.gaps, recipe.decimal, recipe.bits, recipe.upright)
        here = recipe_of(recipe.layout, recipe.style or "", recipe.size, recipe.column, recipe.planes, *told)
        if here != recipe:
            raise RuntimeError(
                f"This worker would draw other pixels ({here.identity}) than the driver ({recipe.identity}). "
                "Install the same versions on all machines."
            )
        self._files = files
        self._shards = shards
        self._recipe = recipe
        self._draw = Drawer(recipe)
        self._canvases = np.empty((rows_per_shard(shape), *shape), dtype=np.uint8)

    def start(self) -> None:
        """Get ready now what is else made ready after the first few pictures."""
        self._draw.start()

    def __call__(self, batch: pa.Table) -> pa.Table:
        return as_batches(self.draw, batch)

    def draw(self, jobs: Sequence[Job]) -> Drawn:
        """Draw the files of `jobs` into one shard."""
        result = Drawn(drawn=[], failed=[], shard=None, remark="", error="")
        keys: list[str] = []
        sizes: list[tuple[int, int]] = []
        readings: list[Reading | None] = []
        sights: list[Sight] = []
        listed = [ListedFile(path, "", None, depth, mask) for path, depth, mask in jobs]
        for (path, *_), sources in zip(jobs, each_sources(self._files, listed), strict=True):
            content: str | None = None
            try:
                if not isinstance(sources, Sources):
                    raise sources
                content = sources.content
                entry = (path, content, sources.mask_hash)
                size = place_on(self._canvases[len(keys)], self._draw(sources), self._recipe)
            except OSError as error:
                result["failed"].append((path, None, f"can't be read: {error.strerror}", False))
            except MemoryError:
                result["failed"].append((path, None, "too large for this machine's memory", False))
            except DrawingError as error:
                lasting = None if isinstance(error, Mishap) else content
                reason = without_quotes(str(error)) if self._files.leads_out(path) else str(error)
                result["failed"].append((path, lasting, reason, isinstance(error, ShapeError)))
            else:
                result["drawn"].append(entry)
                keys.append(self._recipe.key(*entry[1:]))
                sizes.append(size)
                reading = self._draw.reading
                if reading is not None and (reading.example or reading.line) and self._files.leads_out(path):
                    reading = reading._replace(example="…" if reading.example else "", line="…" if reading.line else "")
                readings.append(reading)
                assert self._draw.sight is not None
                sights.append(self._draw.sight)
        result["remark"] = self._draw.remark
        if keys:
            try:
                shard, *_ = write_shard(self._shards, keys, sizes, self._canvases[: len(keys)], readings, sights)
                result["shard"] = (shard, keys, sizes, readings, [sight.name for sight in sights])
            except OSError as error:
                result["error"] = error.strerror or str(error)
        return result

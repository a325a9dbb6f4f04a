"""A few of an experiment's files, drawn for real into a store in a temporary folder: what drawing costs a picture."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.files.content_hashes import look_at
from orchestrator.data.files.picture_layers import planes_of
from orchestrator.data.files.source_files import SourceFolder
from orchestrator.data.fill.draw_batch import DrawBatch, Job
from orchestrator.data.fill.drawing import recipe_of, shape_of
from orchestrator.data.fill.store_entries import Filling
from orchestrator.data.fill.value_range import look_into, settled_bits
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.split.split import Split
from orchestrator.data.store.shards import Shape, rows_per_shard
from orchestrator.data.store.store import Recipe, Store, store_of
from orchestrator.experiment.preflight import Settled
from orchestrator.planning.sizes import Sizes, division
from orchestrator.stages.context import Prepared
from trainables.interface import Pictures, Samples
from trainables.small_files import FolderFiles

FIRST = 8
MOST_TRAIN, MOST_VALIDATION = 96, 32
"""Files that are drawn; trainings on more pictures see them more than once."""


COMPILED = 5.0
"""Seconds above which the start of drawing has compiled something, which stays on the machine."""


@dataclass(frozen=True)
class Drawing:
    """What the pictures of one size cost."""

    size: tuple[int, int]
    pictures: int
    """That were drawn to find out."""
    hashing: float
    """Seconds a picture, in one process."""
    starting: float
    """Seconds until the first few are drawn: each worker prepares its way to draw."""
    drawing: float
    """Seconds a picture after that, spread over workers."""
    stored: float
    """Bytes a picture on the disk."""


class SampleFiles:
    """Files of the train and validation parts, in a random order; of the test part none."""

    def __init__(self, settled: Settled, seconds: float) -> None:
        """`seconds`: what drawing them at one size may take, beside the first few."""
        self._settled, self._data, self._seconds = settled, settled.experiment.data, seconds
        self._listing, split = division(settled)
        self.sizes = Sizes.of(split)
        generator = np.random.default_rng(0)
        self._train, self._validation = (
            generator.permutation(part)[:most]
            for part, most in ((split.train, MOST_TRAIN), (split.validation, MOST_VALIDATION))
        )

    def draw(self, size: tuple[int, int], folder: Path) -> tuple["SamplePictures", Drawing]:
        """Their pictures at one size, in a store in an empty folder."""
        few = self._chosen(FIRST / (len(self._train) + len(self._validation)))
        filling, first = self._filling(few, size, folder)
        shards = FolderFiles((folder / "shards").absolute(), made=False)
        arguments = (SourceFolder(str(few.root.absolute())), shards, first.recipe, first.shape)
        begun = time.perf_counter()
        drawer = DrawBatch(*arguments)
        filling.add(drawer.draw(first.jobs))
        slowly = time.perf_counter() - begun
        starting = slowly + _start(drawer)
        if starting > slowly + COMPILED:  # once a machine; what each worker pays is what is left of it
            starting = slowly + _start(DrawBatch(*arguments))
        begun = time.perf_counter()
        drawer.draw(first.jobs)
        each = (time.perf_counter() - begun) / max(1, len(first.jobs))
        files = self._chosen(min(1.0, self._seconds / (each * (len(self._train) + len(self._validation)))))
        filling, more = self._filling(files, size, folder)
        begun = time.perf_counter()
        for start in range(0, len(more.jobs), most := rows_per_shard(first.shape)):
            filling.add(drawer.draw(more.jobs[start : start + most]))
        if len(more.jobs) > len(first.jobs):
            each = (time.perf_counter() - begun) / len(more.jobs)
        index = filling.index(least_classes=1)
        store, names = store_of(folder, first.recipe, index), {shard.name for shard in index.shards}
        paths = [path for path in (folder / "shards").iterdir() if path.name.split(".")[0] in names]
        stored = sum(path.stat().st_size for path in paths)
        known = Drawing(size, len(first.jobs) + len(more.jobs), more.hashing, starting, each, stored / len(store.paths))
        parts = frozenset(self._listing.files[row].path for row in self._train.tolist())
        return SamplePictures(store, parts, self._settled), known

    def _chosen(self, share: float) -> Listing:
        """A share of the files of each part, at least two."""
        rows = [part[: max(2, round(share * len(part)))] for part in (self._train, self._validation)]
        order = np.sort(np.concatenate(rows)).tolist()
        return replace(self._listing, files=tuple(self._listing.files[row] for row in order), skipped=())

    def _filling(self, listing: Listing, size: tuple[int, int], folder: Path) -> tuple[Filling, "_Work"]:
        """What is to be drawn of a listing into a store that may hold some of it."""
        data = self._data
        (folder / "shards").mkdir(parents=True, exist_ok=True)
        begun = time.perf_counter()
        looks = look_at(listing)
        facts = look_into(listing, looks, folder)
        planes = planes_of(self._listing.files)
        bits = settled_bits(facts, data.bits, folder, False)
        recipe = recipe_of(data.layout, data.style, size, data.column, planes, data.gaps, data.decimal, bits)
        shape = shape_of(recipe, listing)
        filling = Filling(listing, looks, folder, recipe, shape, None, facts, sights=True)
        hashing = (time.perf_counter() - begun) / max(1, len(listing.files))
        return filling, _Work(recipe, shape, filling.missing(), hashing)


def _start(drawer: DrawBatch) -> float:
    begun = time.perf_counter()
    drawer.start()
    return time.perf_counter() - begun


class _Work(NamedTuple):
    recipe: Recipe
    shape: Shape
    jobs: list[Job]
    hashing: float


class SamplePictures:
    """The store, and as many samples of each part as are asked for: where it holds fewer, they come again."""

    def __init__(self, store: Store, train: frozenset[str], settled: Settled) -> None:
        trains = np.array([path in train for path in store.paths])
        generator = np.random.default_rng(1)
        self._train, self._validation = (generator.permutation(np.flatnonzero(rows)) for rows in (trains, ~trains))
        none = np.empty(0, dtype=np.int64)
        split = Split(store.paths, none, none, none, data="", fingerprint="", remarks=(), groups=store.paths)
        self._prepared = Prepared({store.pictures.shape[1:3]: store}, split, settled.goal.normal)
        self._size = store.pictures.shape[1:3]
        self._masks = settled.goal.pixel
        self.depth = store.depth is not None

    def train(self, count: int) -> Samples:
        """So many of the train part."""
        return self._samples(self._train, count, 0, False)

    def validation(self, count: int, skipped: int = 0) -> Samples:
        """So many of the validation part, after those that are skipped."""
        return self._samples(self._validation, count, skipped, self._masks)

    def _samples(self, rows: NDArray[np.int64], count: int, skipped: int, masks: bool) -> Samples:
        places = np.arange(skipped, skipped + count)
        samples = self._prepared.samples(self._size, rows[places % len(rows)], masks=masks)
        return replace(samples, pictures=Told(samples.pictures, places // len(rows)))


class Told:
    """Pictures of which some come again, each time told apart by its first pixel: what is kept of a picture is found by
    its content, and a real one would not be there."""

    def __init__(self, pictures: Pictures, rounds: NDArray[np.int64]) -> None:
        """`rounds` (N,): how often each has come before."""
        self._pictures, self._rounds = pictures, rounds

    @property
    def shape(self) -> tuple[int, ...]:
        return self._pictures.shape

    def __len__(self) -> int:
        return len(self._rounds)

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """The pictures at `rows`, as a new array (len(rows), H, W, C)."""
        found = self._pictures[rows]
        found[:, 0, 0] += self._rounds[rows].astype(np.uint8)[:, None]
        return found

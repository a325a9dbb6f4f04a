"""Pictures, depth maps and masks that stay on the disk until rows are asked for. They pickle as places, not data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.store.shards import Shape, Shard, ShardFolder, ShardSource, open_shard, views_file
from orchestrator.data.store.shipped_shards import shipped_shards
from orchestrator.machine.shipping import Shipping


class StoredViews:
    """The views that near-duplicates are found by, by row."""

    def __init__(
        self, folder: Path, shards: tuple[Shard, ...], shard: NDArray[np.int32], place: NDArray[np.int32]
    ) -> None:
        self._folder = folder
        self._shards = shards
        self._shard = shard
        self._place = place

    def __len__(self) -> int:
        return len(self._shard)

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Those at `rows`, as they are kept (n, bytes). Needs at least one row."""
        shards, places = self._shard[rows], self._place[rows]
        read: NDArray[np.uint8] | None = None
        for number in np.unique(shards).tolist():
            file = views_file(self._folder, self._shards[number].name)
            opened = open_shard(file, file.stat().st_mtime_ns)
            here = shards == number
            read = np.empty((len(shards), opened.shape[1]), dtype=np.uint8) if read is None else read
            read[here] = opened[places[here]]
        assert read is not None
        return read


class StoredPlanes:
    """Some of the uint8 planes of each picture, by row."""

    def __init__(
        self,
        source: ShardSource,
        shards: tuple[Shard, ...],
        shard: NDArray[np.int32],
        place: NDArray[np.int32],
        shape: Shape,
        planes: slice,
    ) -> None:
        """`shape` is (H, W, all planes of a shard), of which `planes` are given."""
        self._source = source
        self._shards = shards
        self._shard = shard
        self._place = place
        self._stored = shape
        self._planes = planes

    def __len__(self) -> int:
        return len(self._shard)

    def select(self, rows: NDArray[np.int64]) -> Self:
        """Those at `rows` alone, in that order, still on the disk."""
        return type(self)(self._source, self._shards, self._shard[rows], self._place[rows], self._stored, self._planes)

    def shipped(self, shipping: Shipping) -> Self:
        """The same, of which a worker that it is handed to has the shards by Ray."""
        assert isinstance(self._source, ShardFolder)
        used = [self._shards[number] for number in np.unique(self._shard).tolist()]
        source = shipped_shards(self._source.folder, used, shipping)
        return type(self)(source, self._shards, self._shard, self._place, self._stored, self._planes)

    def views(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        """The planes at each of `rows` (H, W, planes), in order, not copied: good for who reads each once."""
        shape = self._stored
        planes = slice(None) if self._planes == slice(0, shape[2]) else self._planes
        for number, place in zip(self._shard[rows].tolist(), self._place[rows].tolist(), strict=True):
            yield self._source.opened(self._shards[number])[place][..., planes]

    def _read(self, rows: Any) -> NDArray[np.uint8]:
        """The planes at `rows` (any NumPy index into N), copied: (..., H, W, planes)."""
        shards, places = self._shard[rows], self._place[rows]
        height, width, stored = self._stored
        shape = (height, width, self._planes.stop - self._planes.start)
        # Where all planes are wanted, a picture is one run of bytes.
        planes = slice(None) if shape[2] == stored else self._planes
        read = np.empty((*np.shape(shards), *shape), dtype=np.uint8)
        flat = read.reshape(-1, *shape)
        order = np.argsort(shards, axis=None, kind="stable")
        opened, current = np.empty(0, dtype=np.uint8), -1
        for target, number, place in zip(
            order.tolist(), shards.ravel()[order].tolist(), places.ravel()[order].tolist(), strict=True
        ):
            if number != current:
                current = number
                opened = self._source.opened(self._shards[number])
            flat[target] = opened[place][..., planes]
        return read


class StoredPictures(StoredPlanes):
    """uint8 pictures (N, H, W, 3)."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self), *self._stored[:2], 3)

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """The pictures at `rows` (any NumPy index into N), copied; IndexError where there is no such row."""
        return self._read(rows)


class StoredMasks(StoredPlanes):
    """uint8 masks (N, H, W): 255 where a defect is, else 0."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return (len(self), *self._stored[:2])

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """The masks at `rows` (any NumPy index into N), copied; IndexError where there is no such row."""
        return self._read(rows)[..., 0]


class StoredDepths(StoredPlanes):
    """float32 depth maps (N, H, W), in the files' own units; NaN where unknown."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return (len(self), *self._stored[:2])

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.float32]:
        """The depth maps at `rows` (any NumPy index into N), copied; IndexError where there is no such row."""
        return self._read(rows).view(np.float32)[..., 0]

"""A store's pictures as PNG files, in a tree that mirrors the files they were made from."""

import io
import json
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from orchestrator.data.fill.worker_results import Written
from orchestrator.data.layouts.listing import without_suffix
from orchestrator.data.store.index import Index
from orchestrator.data.store.lazy_arrays import StoredPictures
from orchestrator.machine.worker_pool import as_batches
from trainables.errors import InputError
from trainables.files import bytes_sha256, write_whole
from trainables.small_files import SmallFiles

Job = tuple[str, int, int, int, str]
"""Target relative to the PNG folder, row in the store, true height and width, what the picture is made from."""


class Export:
    """Which PNG files are to be written, and which were written before and are still as they were.

    A list of what was written lies in the store, one for each PNG folder. Files that a removed source left are not
    removed: they are the user's.
    """

    def __init__(self, store: Path, png: Path, index: Index) -> None:
        self._png = png
        self._index = index
        name = bytes_sha256(os.fsencode(png.resolve()))[:32]
        self._list = store / "pngs" / f"{name}.json"
        try:
            self._written: dict[str, list[Any]] = json.loads(self._list.read_bytes())
        except (OSError, ValueError):
            self._written = {}
        self._changed = False
        try:
            self._list.parent.mkdir(exist_ok=True)
            png.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._changed:
            write_whole(self._list, json.dumps(self._written), wait=True, shared=True)

    def missing(self) -> list[Job]:
        """The jobs for `WritePngs`: what is not there, was changed, or shows another picture."""
        rows = self._index.rows
        jobs = []
        for number, target in enumerate(png_targets(rows.path)):
            picture = f"{self._index.identity} {rows.content[number]}"
            if self._written.get(target) != [picture, *_looks(f"{self._png}/{target}")]:
                jobs.append((target, number, rows.height[number], rows.width[number], picture))
        return jobs

    def add(self, result: Written) -> None:
        """Take in what `WritePngs` gave. InputError where it could not write."""
        for target, *looks in result["drawn"]:
            self._written[target] = looks
            self._changed = True
        for target, reason in result["failed"]:
            raise self._unwritable(f"{target!r}: {reason}")

    def _unwritable(self, reason: str) -> InputError:
        return InputError(
            f"The PNG folder {str(self._png)!r} can't be written: {reason}. Choose another folder (--png)."
        )


class WritePngs:
    """A worker of the pipeline: writes a batch of pictures as PNG files."""

    def __init__(self, pictures: StoredPictures, png: SmallFiles, plots: bool) -> None:
        """`plots` says that the pictures are plots, for which there is a faster encoder than Pillow's."""
        self._pictures = pictures
        self._png = png
        self._encode = _pillow_png
        if plots:
            with suppress(ImportError):  # it needs numba; the files' pixels are the same without
                from orchestrator.data.plotting.png import encode_png

                self._encode = encode_png

    def __call__(self, batch: pa.Table) -> pa.Table:
        return as_batches(self.write, batch)

    def write(self, jobs: list[Job]) -> Written:
        """Write each picture, whole or not at all."""
        result = Written(drawn=[], failed=[])
        for target, number, height, width, picture in jobs:
            try:
                pixels = self._pictures[np.array([number])][0, :height, :width]
                looks = self._png.write(target, [self._encode(np.ascontiguousarray(pixels))], wait=False)
                result["drawn"].append((target, picture, *looks))
            except OSError as error:
                result["failed"].append((target, error.strerror or str(error)))
        return result


def png_targets(paths: list[str]) -> list[str]:
    """Each file's PNG: `a/b.csv` -> `a/b.png`; where two files would share one, their suffixes stay: `a/b.csv.png`."""
    targets = [without_suffix(path) + ".png" for path in paths]
    counts = Counter(targets)
    long = [path + ".png" if counts[target] > 1 else target for path, target in zip(paths, targets, strict=True)]
    if len(set(long)) == len(long):
        return long
    return [path + ".png" for path in paths]


def _pillow_png(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="png")
    return file.getvalue()


def _looks(path: str) -> tuple[int, int]:
    """A file's size and time; zeros where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call, and there may be 100,000
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns

"""Shards: files of some hundred pictures each, written whole, checked by size, header and checksum.

Beside its pictures a shard keeps the views that near-duplicates are found by (`orchestrator.data.files.sight`); those
of older releases have none.
"""

import io
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.files.series import Reading
from orchestrator.data.files.sight import Sight
from trainables.files import text_sha256
from trainables.small_files import FolderFiles, SmallFiles

SHARD_ROWS = 256
SHARD_BYTES = 32 * 2**20
OPEN_SHARDS = 512
"""Maps that one process holds at a time. Each holds a file descriptor, of which a process often has 1,024."""

Shape = tuple[int, int, int]
Picture = NDArray[np.uint8]


class Shard(NamedTuple):
    """One shard as it was when it was last known to be whole."""

    name: str
    rows: int
    bytes: int
    mtime_ns: int
    checksum: int
    """CRC-32 of the pictures' bytes."""


class ShardContents(NamedTuple):
    """What the rows of one shard are."""

    shard: Shard
    keys: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    """Each picture's true height and width; what lies beyond is white."""
    readings: tuple[Reading | None, ...]
    """Of series: how each was read."""
    sights: tuple[str, ...] = ()
    """The names of what is seen in each; empty where the views are missing or not whole."""


def rows_per_shard(shape: Shape) -> int:
    """How many pictures (H, W, 3) a full shard holds: 256, or as many as fit in 32 MiB, and at least one."""
    return max(1, min(SHARD_ROWS, SHARD_BYTES // int(np.prod(shape))))


class ShardSource(Protocol):
    """Where the pictures of shards are had."""

    def opened(self, shard: Shard) -> Picture:
        """Those of one shard (N, H, W, planes), not copied."""
        ...


@dataclass(frozen=True)
class ShardFolder:
    """Shards in a folder that this process sees."""

    folder: Path

    def opened(self, shard: Shard) -> Picture:
        return open_shard(self.folder / f"{shard.name}.npy", shard.mtime_ns)


def write_shard(
    folder: Path | SmallFiles,
    keys: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    pictures: NDArray[np.uint8],
    readings: Sequence[Reading | None] = (),
    sights: Sequence[Sight] = (),
) -> ShardContents:
    """Write pictures (N, H, W, 3) as one shard, named after its keys; then its description, which makes it whole.

    `folder`: that is there, or the files of one. `readings`: of series, how each was read. `sights`: what is seen in
    each; empty: not known.

    Writing the same keys again, from anywhere, replaces a shard by an equal one.
    """
    assert len(keys) == len(sizes) == len(pictures) > 0
    files = FolderFiles(folder, made=False) if isinstance(folder, Path) else folder
    name = text_sha256("\n".join(keys))[:32]
    pictures = np.ascontiguousarray(pictures)
    header = _header(pictures.shape)
    checksum = zlib.crc32(pictures.data)
    looks = files.write(f"{name}.npy", [header, pictures.data], wait=True)
    described = {
        "rows": len(keys),
        "shape": pictures.shape[1:],
        "checksum": checksum,
        "keys": list(keys),
        "sizes": [list(size) for size in sizes],
    }
    ways = list(dict.fromkeys(readings))
    if any(ways):
        described["readings"] = ways, [ways.index(reading) for reading in readings]
    if sights:
        views = np.stack([sight.views for sight in sights])
        described["sights"] = [sight.name for sight in sights]
        described["views"] = zlib.crc32(views.data)
        files.write(views_name(name), [_header(views.shape), views.data], wait=True)
    files.write(f"{name}.json", [json.dumps(described).encode("ascii")], wait=True)
    shard = Shard(name, len(keys), *looks, checksum)
    told = tuple(readings) or (None,) * len(keys)
    return ShardContents(shard, tuple(keys), tuple(sizes), told, tuple(sight.name for sight in sights))


def read_shard(folder: Path, name: str, shape: Shape, known: Shard | None = None) -> ShardContents | None:
    """What a shard holds, or None where it is not whole: no description, wrong size or header, or wrong checksum.

    The checksum is not read again where the file still has the size and time of `known`.
    """
    try:
        described = _described(folder, name)
        status = (folder / f"{name}.npy").stat()
        shard = Shard(name, described["rows"], status.st_size, status.st_mtime_ns, described["checksum"])
        sizes = tuple((height, width) for height, width in described["sizes"])
        ways, numbers = described.get("readings", ([None], [0] * shard.rows))
        known_ways = [None if way is None else Reading.of(way) for way in ways]
        read = tuple(known_ways[number] for number in numbers)
        contents = ShardContents(shard, tuple(described["keys"]), sizes, read, _sights(folder, name, described))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    if any(len(one) != shard.rows for one in (contents.keys, sizes, read)) or not has_right_form(folder, shard, shape):
        return None
    if shard != known and zlib.crc32(open_shard(folder / f"{name}.npy", status.st_mtime_ns).data) != shard.checksum:
        return None
    return contents


def views_name(name: str) -> str:
    """The file of a shard's views."""
    return f"{name}.views"


def views_file(folder: Path, name: str) -> Path:
    """Where the views of a shard lie."""
    return folder / views_name(name)


def _sights(folder: Path, name: str, described: dict[str, Any]) -> tuple[str, ...]:
    """The names of what is seen in a shard's pictures; empty where their views are not whole."""
    names = tuple(map(str, described.get("sights", ())))
    if len(names) != described["rows"]:
        return ()
    try:
        views = open_shard(views_file(folder, name), views_file(folder, name).stat().st_mtime_ns)
    except (OSError, ValueError, EOFError):
        return ()
    whole = views.dtype == np.uint8 and views.ndim == 2 and len(views) == len(names)
    return names if whole and zlib.crc32(views.data) == described.get("views") else ()


def has_views(folder: Path, shard: Shard, length: int) -> bool:
    """Whether the views of a shard's pictures lie there, `length` bytes each."""
    try:
        return views_file(folder, shard.name).stat().st_size == len(_header((shard.rows, length))) + shard.rows * length
    except OSError:
        return False


def has_right_form(folder: Path, shard: Shard, shape: Shape) -> bool:
    """Whether a shard's file has the size and header of its pictures; this reads 128 bytes."""
    header = _header((shard.rows, *shape))
    try:
        with (folder / f"{shard.name}.npy").open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return size == shard.bytes == len(header) + shard.rows * int(np.prod(shape)) and (
                file.read(len(header)) == header
            )
    except OSError:
        return False


def looks_unchanged(folder: Path, shard: Shard) -> bool:
    """Whether a shard's file has the size and time that it had when it was last known to be whole."""
    try:
        status = (folder / f"{shard.name}.npy").stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (shard.bytes, shard.mtime_ns)


@lru_cache(maxsize=OPEN_SHARDS)
def open_shard(path: Path, mtime_ns: int) -> NDArray[np.uint8]:
    """The pictures (N, H, W, 3) of one shard, mapped from disk. Its time tells a shard that was replaced."""
    mapped: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    # A plain array over the same map: np.memmap's own indexing costs more than copying a small picture.
    return mapped.view(np.ndarray)


Place = tuple[Shard, int, str, tuple[int, int], Reading | None]
"""Of one picture: its shard, the row in it, its key, its true size, and how its series was read."""


def repack(folder: Path, places: Sequence[Place]) -> Iterator[ShardContents]:
    """Write the pictures at these places anew, in full shards; the old ones stay."""
    if not places:
        return
    shape = open_shard(folder / f"{places[0][0].name}.npy", places[0][0].mtime_ns).shape[1:]
    step = rows_per_shard((shape[0], shape[1], shape[2]))
    for start in range(0, len(places), step):
        part = places[start : start + step]
        pictures = np.stack([open_shard(folder / f"{shard.name}.npy", shard.mtime_ns)[row] for shard, row, *_ in part])
        _, _, keys, sizes, readings = zip(*part, strict=True)
        yield write_shard(folder, keys, sizes, pictures, readings, _sights_at(folder, part))


def _sights_at(folder: Path, places: Sequence[Place]) -> list[Sight]:
    """What is seen in the pictures at these places; empty where it is not known of all."""
    known = {name: _described(folder, name) for name in {shard.name for shard, *_ in places}}
    names = {name: _sights(folder, name, described) for name, described in known.items()}
    if not all(names.values()):
        return []
    views = {name: np.load(views_file(folder, name), mmap_mode="r") for name in names}
    return [Sight(names[shard.name][row], views[shard.name][row]) for shard, row, *_ in places]


def _described(folder: Path, name: str) -> dict[str, Any]:
    described: dict[str, Any] = json.loads((folder / f"{name}.json").read_bytes())
    return described


def remove_shard(folder: Path, name: str) -> None:
    """Remove a shard; its description first, so that it is never half there."""
    for suffix in ("json", "npy", "views"):
        (folder / f"{name}.{suffix}").unlink(missing_ok=True)


def _header(shape: tuple[int, ...]) -> bytes:
    """The header that NumPy writes for a uint8 array of this shape."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)})
    return header.getvalue()

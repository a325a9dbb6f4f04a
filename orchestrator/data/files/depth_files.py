"""A depth file -> float32 depth in the file's own units."""

import io
import logging
import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.files.image_files import (
    MOST_PIXELS,
    ORIENTATION,
    TURNS,
    ImageError,
    decoding,
    opened_picture,
    turn_of,
)

TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_BYTES = 4 * MOST_PIXELS
"""Of one decoded file: as many float32 values as the largest picture has pixels."""
MOST_SEGMENTS = 100_000
"""Strips or tiles of one TIFF, each of which takes some time however small it is."""
DEFLATE = (8, 32946)
DEFLATE_RATIO = 1032
"""The most bytes that one byte of deflate can become."""
BOUNDED_COMPRESSIONS = (1, 5, *DEFLATE)
"""None, LZW and deflate. Other TIFFs are left to Pillow, whose decoders stop at the size that is declared."""
TURN: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda values: np.rot90(values, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda values: np.rot90(values, -1),
    7: lambda values: np.transpose(np.rot90(values, 2)),
    8: np.rot90,
}
"""By EXIF's orientation, as TURNS does for pictures."""


def decode_depth(data: bytes, upright: bool = False) -> NDArray[np.float32]:
    """Depth (h, w) in the file's own units; NaN where it is unknown: 0 or no finite number.

    One channel of 8, 16 or 32 bits, or of fractions; or a TIFF of three float channels, x, y and z, whose z is taken.
    `upright`: a turn that the file names is followed. Raises ImageError where the file is none of these, or would take
    too much memory or time.
    """
    try:
        with decoding("can't be decoded"):
            values, turn = _tiff(data) if data[:4] in TIFF_HEADS else _picture(data)
    except ImageError as error:
        joint = " " if str(error).startswith("can't") else ": "
        raise ImageError(f"its depth{joint}{error}") from error
    with np.errstate(over="ignore"):  # a float64 beyond float32 is no finite depth
        depth = values.astype(np.float32)
    depth[(depth == 0) | ~np.isfinite(depth)] = np.nan
    return np.ascontiguousarray(TURN[turn](depth)) if upright and turn != 1 else depth


def _picture(data: bytes) -> tuple[NDArray[np.generic], int]:
    """One channel of a picture that Pillow decodes, and its turn."""
    with opened_picture(data) as image:
        if image.mode not in ("L", "F") and not image.mode.startswith("I"):
            raise ImageError(f"it has colours (mode {image.mode}); one channel is taken")
        return np.asarray(image), turn_of(image, data)


def _tiff(data: bytes) -> tuple[NDArray[np.generic], int]:
    """One channel of a TIFF, and its turn. All that its header declares is checked before anything is decoded."""
    import tifffile  # Pillow reads no TIFF of three float channels

    # What it logs is either harmless or ends in an error below.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        try:
            page = file.pages.first
        except IndexError:
            raise ImageError("a TIFF without values") from None
        tag = page.tags.get(ORIENTATION)
        turn = tag.value if tag is not None and tag.value in TURNS else 1
        _refuse_too_much(page, data)
        if page.compression not in BOUNDED_COMPRESSIONS or (page.compression == 5 and len(page.shape) == 2):
            return _picture(data)
        more = _equal_pages(file, page)
        if len(page.shape) == 2 and page.dtype is not None and page.dtype.kind == "f" and more == 2:
            z = file.pages[2]  # x, y and z as three pages
            _refuse_too_much(z, data)
            values: NDArray[np.generic] = z.asarray(maxworkers=1)
            return values, turn
        shape = (more + 1, *page.shape) if more else page.shape
        values = page.asarray(maxworkers=1) if not more else np.empty(0)
    if len(shape) == 2:
        return values, turn
    if len(shape) == 3 and values.dtype.kind == "f" and not more and 3 in (shape[0], shape[2]):
        return (values[..., 2] if shape[2] == 3 else values[2]), turn
    raise ImageError(f"a TIFF of {'x'.join(map(str, shape))} {page.dtype}; x, y, z as floats are taken")


def _equal_pages(file: object, first: object) -> int:
    """How many of the next pages look as the first, up to four: what follows another one, such as a thumbnail, isn't
    looked at."""
    for number in range(1, 5):
        try:
            page = file.pages[number]  # type: ignore[attr-defined]
        except IndexError:
            return number - 1
        if (page.shape, page.dtype) != (first.shape, first.dtype):  # type: ignore[attr-defined]
            return number - 1
    return 4


def _refuse_too_much(page: object, data: bytes) -> None:
    """ImageError for a page whose declared size, or what its segments become, is out of proportion."""
    shape, dtype = page.shape, page.dtype  # type: ignore[attr-defined]
    if not math.prod(shape) or dtype is None:
        raise ImageError("a TIFF without values")
    if math.prod(shape) * dtype.itemsize > MOST_BYTES:
        raise ImageError(f"too large: {'x'.join(map(str, shape))} values of {dtype}")
    offsets, counts = page.dataoffsets, page.databytecounts  # type: ignore[attr-defined]
    segment = math.prod(page.chunks) * dtype.itemsize  # type: ignore[attr-defined]
    segments = math.prod(page.chunked)  # type: ignore[attr-defined]
    if segments > MOST_SEGMENTS or len(offsets) > MOST_SEGMENTS:
        raise ImageError(f"a TIFF of {max(segments, len(offsets))} strips or tiles; {MOST_SEGMENTS} are taken")
    if segment > MOST_BYTES or segment * segments > 4 * MOST_BYTES:
        raise ImageError(f"a TIFF of strips or tiles that are too large ({segment} bytes)")
    if sum(counts) > 2 * len(data):
        raise ImageError("a TIFF whose strips or tiles hold more bytes than the file")
    if page.compression in DEFLATE and sum(counts) * DEFLATE_RATIO > MOST_BYTES:  # type: ignore[attr-defined]
        for start, length in zip(offsets, counts, strict=False):
            inflating = zlib.decompressobj()
            inflating.decompress(data[start : start + length], segment + 1)
            if inflating.unconsumed_tail:
                raise ImageError("a TIFF whose strips or tiles become more bytes than its size says")

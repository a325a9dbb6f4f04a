"""What a store keeps of one picture in one uint8 array: 3 planes of RGB, 4 of float32 depth, 1 of the defect mask."""

import io
import logging
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.files.image_files import IDENTITY, ImageError, decode_picture, opened_picture, picture_size
from orchestrator.data.layouts.listing import Layout, ListedFile

Planes = Literal["rgb", "rgb+depth", "rgb+mask", "rgb+depth+mask"]
MaskState = Literal["", "known", "empty", "vanished", "size", "unreadable"]
"""Of an anomaly's mask: none; it can be used; nothing is above 127; nothing is left at the store's size; it has another
size than its picture; no picture. Only a known one counts."""

Value = TypeVar("Value", np.uint8, np.float32)

CHANNELS = {"rgb": 3, "depth": 4, "mask": 1}
RGB = slice(0, CHANNELS["rgb"])
"""All planes begin with it."""
MASK_ABOVE = 127
TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def planes_of(files: Iterable[ListedFile]) -> Planes:
    """What there is to keep of these files: depth and masks where any has one."""
    depth = mask = False
    for file in files:
        depth = depth or file.depth is not None
        mask = mask or file.mask is not None
    if depth:
        return "rgb+depth+mask" if mask else "rgb+depth"
    return "rgb+mask" if mask else "rgb"


def channels(planes: Planes) -> int:
    """How many bytes a pixel takes."""
    return sum(CHANNELS[name] for name in planes.split("+"))


def channels_of(planes: Planes, wanted: str) -> slice | None:
    """Where the bytes of `rgb`, `depth` or `mask` lie; None where these planes are not kept."""
    start = 0
    for name in planes.split("+"):
        if name == wanted:
            return slice(start, start + CHANNELS[name])
        start += CHANNELS[name]
    return None


def identity(layout: Layout, planes: Planes) -> str:
    """The names and versions of all that these planes depend on."""
    names = [IDENTITY]
    if planes != "rgb":
        names.append(f"{planes}-1")
    names += [f"{package}-{version(package)}" for package in layout.decoders]
    return "/".join(names)


def decode_planes(
    data: bytes, depth: bytes | None, mask: bytes | None, planes: Planes, size: tuple[int, int] | None
) -> NDArray[np.uint8]:
    """One picture's planes (h, w, channels) at `size` (height, width), or at its own.

    Colours are resized bilinear; depth and mask take the nearest pixel, so that no value is made up. A mask that can't
    be used is all 0 (`mask_state` says why). Raises ImageError where picture or depth can't be used.
    """
    layers: list[NDArray[np.uint8]] = [decode_picture(data, size)]
    height, width = layers[0].shape[:2]
    if "depth" in planes:
        if depth is None:
            raise ImageError("it has no depth")
        values = decode_depth(depth)
        refuse_other_aspect(values.shape, picture_size(data))
        resized = resized_depth(values, (height, width))
        layers.append(resized.view(np.uint8).reshape(height, width, CHANNELS["depth"]))
    if "mask" in planes:
        plane = np.zeros((height, width), dtype=np.uint8)
        if mask is not None and mask_state(mask, picture_size(data), (height, width)) == "known":
            plane = _nearest(decode_mask(mask), (height, width))
        layers.append(plane[..., None])
    return np.concatenate(layers, axis=2) if len(layers) > 1 else layers[0]


def decode_depth(data: bytes) -> NDArray[np.float32]:
    """Depth (h, w) in the file's own units; NaN where it is unknown: 0 or no finite number.

    One channel of 8, 16 or 32 bits, or of fractions; or a TIFF of three float channels, x, y and z, whose z is taken.
    Raises ImageError where the file is none of these.
    """
    try:
        if data[:4] in TIFF_HEADS:
            values = _tiff(data)
        else:
            with opened_picture(data) as image:
                if image.mode not in ("L", "F") and not image.mode.startswith("I"):
                    raise ImageError(f"it has colours (mode {image.mode}); one channel is taken")
                values = np.asarray(image)
    except ImageError as error:
        raise ImageError(f"its depth: {error}") from error
    except Exception as error:  # decoders raise what they meet
        raise ImageError(f"its depth can't be decoded: {error}") from error
    depth = values.astype(np.float32)
    depth[(depth == 0) | ~np.isfinite(depth)] = np.nan
    return depth


def resized_depth(depth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Depth (h, w) at (height, width). Raises ImageError where nothing of it is known then."""
    resized = np.ascontiguousarray(_nearest(depth, size))
    if not np.isfinite(resized).any():
        raise ImageError("its depth is unknown everywhere")
    return resized


def decode_mask(data: bytes) -> NDArray[np.uint8]:
    """A mask (h, w): 255 where the file is above 127, else 0. Raises ImageError where it can't be decoded."""
    try:
        with opened_picture(data) as image:
            if image.mode.startswith("I"):  # 16 bits
                above = np.asarray(image) // 257 > MASK_ABOVE
            else:
                above = np.asarray(image.convert("L")) > MASK_ABOVE
    except ImageError:
        raise
    except Exception as error:  # decoders raise what they meet
        raise ImageError(f"can't be decoded: {error}") from error
    return np.where(above, np.uint8(255), np.uint8(0))


def mask_state(mask: bytes, picture: tuple[int, int], size: tuple[int, int] | None) -> MaskState:
    """Whether a mask can be used with a picture of (height, width) that is kept at `size`, or at its own."""
    try:
        values = decode_mask(mask)
    except ImageError:
        return "unreadable"
    if values.shape != picture:
        return "size"
    if not values.any():
        return "empty"
    return "known" if size is None or _nearest(values, size).any() else "vanished"


def _nearest(values: NDArray[Value], size: tuple[int, int]) -> NDArray[Value]:
    """Values (h, w) at (height, width), each the one that lies nearest to the new pixel's centre."""
    if values.shape == size:
        return values
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)
        for new, old in zip(size, values.shape, strict=True)
    )
    nearest: NDArray[Value] = values[rows[:, None], columns]
    return nearest


def refuse_other_aspect(depth: tuple[int, ...], picture: tuple[int, int]) -> None:
    """ImageError where depth and picture can't show the same view: their sides have another proportion."""
    if abs(depth[0] * picture[1] - depth[1] * picture[0]) > max(*depth, *picture):
        raise ImageError(f"its depth has {depth[0]}x{depth[1]} pixels, the picture {picture[0]}x{picture[1]}")


def _tiff(data: bytes) -> NDArray[np.generic]:
    import tifffile  # Pillow reads no TIFF of three float channels

    # What it warns of is either harmless or ends in the error below.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values: NDArray[np.generic] = tifffile.imread(io.BytesIO(data))
    if not values.size:
        raise ImageError("a TIFF without values")
    if values.ndim == 2:
        return values
    if values.ndim == 3 and values.dtype.kind == "f" and 3 in (values.shape[0], values.shape[2]):
        z: NDArray[np.generic] = values[..., 2] if values.shape[2] == 3 else values[2]
        return z
    raise ImageError(f"a TIFF of {'x'.join(map(str, values.shape))} {values.dtype}; x, y, z as floats are taken")

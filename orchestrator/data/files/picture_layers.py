"""What a store keeps of one picture in one uint8 array: 3 planes of RGB, 4 of float32 depth, 1 of the defect mask."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.data.files.depth_files import decode_depth
from orchestrator.data.files.image_files import IDENTITY, ImageError, full_picture, resized_picture
from orchestrator.data.files.mask_reading import MaskState, read_mask
from orchestrator.data.layouts.listing import Layout, ListedFile

Planes = Literal["rgb", "rgb+depth", "rgb+mask", "rgb+depth+mask"]
Value = TypeVar("Value", np.uint8, np.float32)

CHANNELS = {"rgb": 3, "depth": 4, "mask": 1}
RGB = slice(0, CHANNELS["rgb"])
"""All planes begin with it."""


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


def is_upright(planes: Planes) -> bool:
    """Whether pictures are turned as their EXIF says: where depth or masks belong to them, which are turned too."""
    return planes != "rgb"


def identity(layout: Layout, planes: Planes) -> str:
    """The names and versions of all that these planes depend on."""
    names = [IDENTITY]
    if planes != "rgb":
        names.append(f"{planes}-2")
    names += [f"{package}-{version(package)}" for package in layout.decoders]
    return "/".join(names)


class FullPicture(NamedTuple):
    """What is seen in one file, at its own size."""

    picture: Image.Image
    """RGB."""
    depth: NDArray[np.float32] | None
    """(h, w), NaN where unknown; None where no depth is kept."""


def decode_planes(
    data: bytes,
    depth: bytes | None,
    mask: bytes | None,
    planes: Planes,
    size: tuple[int, int] | None,
    bits: int | None = None,
    upright: bool = False,
) -> NDArray[np.uint8]:
    """One picture's planes (h, w, channels) at `size` (height, width), or at its own.

    Colours are resized bilinear; depth and mask take the nearest pixel, so that no value is made up. A mask that can't
    be used is all 0 (`mask_state` says why). `bits` as `full_picture` takes them. Where there is depth or a mask, all
    are turned as their EXIF says, so that they meet as a viewer shows them. Raises ImageError where picture or depth
    can't be used.
    """
    return resized_planes(decode_full(data, depth, planes, bits, upright), mask, planes, size)


def decode_full(
    data: bytes, depth: bytes | None, planes: Planes, bits: int | None = None, upright: bool = False
) -> FullPicture:
    """The picture and, where it is kept, its depth; `decode_planes` says what it raises."""
    upright = upright or is_upright(planes)
    picture = full_picture(data, bits=bits, upright=upright)
    if "depth" not in planes:
        return FullPicture(picture, None)
    if depth is None:
        raise ImageError("it has no depth")
    values = decode_depth(depth, upright)
    refuse_other_aspect(values.shape, (picture.height, picture.width))
    return FullPicture(picture, values)


def resized_planes(
    full: FullPicture, mask: bytes | None, planes: Planes, size: tuple[int, int] | None
) -> NDArray[np.uint8]:
    """The planes (h, w, channels) of a decoded picture at `size`, or at its own; as `decode_planes` says."""
    layers: list[NDArray[np.uint8]] = [resized_picture(full.picture, size)]
    height, width = layers[0].shape[:2]
    if full.depth is not None:
        resized = resized_depth(full.depth, (height, width))
        layers.append(resized.view(np.uint8).reshape(height, width, CHANNELS["depth"]))
    if "mask" in planes:
        own = (full.picture.height, full.picture.width)
        layers.append(_mask_plane(mask, own, (height, width))[..., None])
    return np.concatenate(layers, axis=2) if len(layers) > 1 else layers[0]


def resized_depth(depth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Depth (h, w) at (height, width). Raises ImageError where nothing of it is known then."""
    resized = np.ascontiguousarray(_nearest(depth, size))
    if not np.isfinite(resized).any():
        raise ImageError("its depth is unknown everywhere")
    return resized


def mask_state(mask: bytes, picture: tuple[int, int], size: tuple[int, int] | None) -> tuple[MaskState, str]:
    """Whether a mask can be used with a picture of (height, width) that is kept at `size`, or at its own; its values.

    Of a mask with one value that is for the data set's others to tell: `settled_states`.
    """
    try:
        marks = read_mask(mask, upright=True)
    except ImageError:
        return "unreadable", ""
    if marks.plane.shape != picture:
        return "size", ""
    if marks.reading == "known" and size is not None and not _nearest(marks.plane, size).any():
        return "vanished", marks.values
    return marks.reading, marks.values


def _mask_plane(mask: bytes | None, picture: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Where the defect is, (h, w) at `size`: nowhere for a mask that can't be used."""
    if mask is not None:
        try:
            plane = read_mask(mask, upright=True).plane
        except ImageError:
            pass  # as `mask_state` says
        else:
            if plane.shape == picture:
                return _nearest(plane, size)
    return np.zeros(size, dtype=np.uint8)


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

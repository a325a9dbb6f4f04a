"""Anomaly maps as pictures: heat, binary mask and overlay, and the three as files."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.files import text_sha256, whole

COLOURS = "inferno"
"""Perceptually uniform and readable by the colour-blind: from black (low) to pale yellow (high)."""
REACH = 3
"""How far the scale of colours goes above its dark end, by how far the line of the masks lies above it. The line is a
high percentile of normal pixels: what is normal keeps to the darkest third, and a few stray pixels of the test part
darken no other picture."""
OPACITY = 0.5
LONGEST_NAME = 120
"""Bytes kept of a picture's own name, of the 255 that file systems take."""


def scale_of(low: float, line: float) -> tuple[float, float]:
    """The ends of the colours of all maps of one model, by validation alone: what lies beyond is clipped.

    `low`: the median of all validation pixels; `line`: where masks begin.
    """
    return low, max(low, low + REACH * (line - low))


def heat_picture(anomaly_map: NDArray[np.float32], scale: tuple[float, float]) -> NDArray[np.uint8]:
    """A map (H, W) -> colours (H, W, 3): `scale` (low, high) from the darkest to the brightest, clipped beyond."""
    import matplotlib  # half a second, which a worker without maps should not cost

    table = (matplotlib.colormaps[COLOURS](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
    coloured: NDArray[np.uint8] = table[(_share(anomaly_map, scale) * 255).round().astype(np.uint8)]
    return coloured


def binary_mask(anomaly_map: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """255 where a map (..., H, W) lies above the threshold, else 0."""
    return np.where(anomaly_map > threshold, np.uint8(255), np.uint8(0))


def overlay(
    picture: NDArray[np.uint8], anomaly_map: NDArray[np.float32], scale: tuple[float, float]
) -> NDArray[np.uint8]:
    """The heat colours over a picture (H, W, 1 or 3), the more opaque the higher the map: (H, W, 3)."""
    opacity = OPACITY * _share(anomaly_map, scale)[..., None]
    blended = picture * (1 - opacity) + heat_picture(anomaly_map, scale) * opacity
    return blended.round().astype(np.uint8)


def write_heat_maps(
    folder: Path,
    name: str,
    picture: NDArray[np.uint8],
    anomaly_map: NDArray[np.float32],
    scale: tuple[float, float],
    threshold: float,
) -> tuple[Path, Path, Path]:
    """Write <name>_heat.png, <name>_found.png and <name>_overlay.png, each whole or not at all, and give their paths.

    `name` is a picture's path relative to the data's root, which may hold anything. In the files it is `file_stem`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = file_stem(name)
    pictures = {
        "heat": heat_picture(anomaly_map, scale),
        "found": binary_mask(anomaly_map, threshold),
        "overlay": overlay(picture, anomaly_map, scale),
    }
    paths = []
    for kind, pixels in pictures.items():
        path = folder / f"{stem}_{kind}.png"
        with whole(path, wait=False, shared=True) as file:
            Image.fromarray(pixels).save(file, format="png")
        paths.append(path)
    heat, found, over = paths
    return heat, found, over


def file_stem(name: str) -> str:
    """A file name for a picture's path: slashes become `__`, unusual characters `_`, and a hash of the path ends it.

    No two paths share one, also where a file system takes A and a for the same; none leads out of its folder.
    """
    readable = re.sub(r"[^\w.-]", "_", name.replace("\\", "/").strip("/").replace("/", "__"))
    digest = text_sha256(name)[:12]
    kept = readable.encode()[-LONGEST_NAME:].decode(errors="ignore")
    return f"{kept.lstrip('.')}-{digest}"


def _share(anomaly_map: NDArray[np.float32], scale: tuple[float, float]) -> NDArray[np.float64]:
    """Where each value lies between low and high, in [0, 1]. On a scale without length: 1 above it, else 0."""
    low, high = scale
    if not high > low:
        return (anomaly_map > high).astype(np.float64)
    return np.clip((np.asarray(anomaly_map, dtype=np.float64) - low) / (high - low), 0, 1)

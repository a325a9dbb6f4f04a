"""Picture strips out of a run's folder, checked before they are believed, and pictures as a page holds them."""

import base64
import io
import re
import warnings
from pathlib import Path
from typing import Any

from PIL import Image

from orchestrator.report.document.formatting import printable

FILE_NAME = re.compile(r"[0-9]+-[0-9]+\.png")
MOST_BYTES = 2 * 2**20
"""Of one strip's file."""
MOST_PIXELS = 1 << 24
SMALL = 96
"""Pictures up to this width are shown exactly as they are, enlarged by whole dots."""
LARGEST = 192
"""Larger pictures are shown at most this wide or high."""


def opened_strip(folder: Path, row: Any) -> tuple[tuple[Image.Image, int, str] | None, str]:
    """The image, how many pictures stand side by side in it, and its label; or None and the reason why not.

    `row`: its entry in gallery.json. Nothing in a run's folder is trusted.
    """
    if not isinstance(row, dict):
        return None, "its entry in gallery.json is no object"
    name, pictures, label = row.get("file"), row.get("count"), printable(row.get("label", ""))
    if not isinstance(name, str) or FILE_NAME.fullmatch(name) is None:
        return None, f"{printable(name)!r} is not a name such as 0-0.png"
    if not isinstance(pictures, int) or isinstance(pictures, bool) or not 1 <= pictures <= 64:
        return None, f"{name} says it holds {printable(pictures)} pictures"
    try:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            return None, f"{name} is no file"
        if path.stat().st_size > MOST_BYTES:
            return None, f"{name} is larger than {MOST_BYTES >> 20} MB"
        image = _opened(path.read_bytes())
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return None, f"{name} is no PNG that can be shown ({printable(error)})"
    if image.width % pictures:
        return None, f"{name} is {image.width} pixels wide, which {pictures} pictures can't share"
    return (image, pictures, label), ""


def encoded_picture(image: Image.Image, across: int = 1) -> tuple[str, bool]:
    """A data URI of `across` pictures side by side, large ones made smaller; and whether every pixel is kept."""
    exact = max(image.width // across, image.height) <= SMALL
    buffer = io.BytesIO()
    if exact:
        image.save(buffer, format="PNG", optimize=True)
    else:
        _shrunk(image, across).save(buffer, format="JPEG", quality=88)
    kind = "png" if exact else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}", exact


def _opened(content: bytes) -> Image.Image:
    """The picture as RGB, made anew from its pixels alone. ValueError where it is no PNG of a sensible size."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} × {image.height} pixels are too many")
            return image.convert("RGB")


def _shrunk(image: Image.Image, across: int) -> Image.Image:
    """Each picture at most LARGEST wide and high."""
    width, height = image.width // across, image.height
    factor = min(1.0, LARGEST / max(width, height))
    if factor == 1.0:
        return image
    size = (max(1, round(width * factor)) * across, max(1, round(height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)

"""A picture file -> uint8 RGB pixels."""

import io
import warnings

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

IDENTITY = f"images-1/pillow-{PIL.__version__}"


class ImageError(ValueError):
    """One file can't be used; the message is the short reason."""


def picture_size(data: bytes) -> tuple[int, int]:
    """(height, width) by the file's header. Raises ImageError where it is no picture."""
    with opened_picture(data) as image:
        return image.height, image.width


def decode_picture(data: bytes, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """RGB (h, w, 3) at `size` (height, width), by Pillow's bilinear resize; None leaves the size as it is.

    Grey (1, 8 or 16 bits), palette, RGB, CMYK and transparent pictures are taken; what is transparent lies on white.
    Of several frames the first is taken. A camera's turn (EXIF) is not followed: class folders of pictures are
    mostly made by programs, and models that others trained on them saw the pixels as they lie in the file.
    Raises ImageError where the file can't be decoded.
    """
    try:
        with opened_picture(data) as image:
            picture = _to_rgb(image)
            if size is not None and size != (picture.height, picture.width):
                picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(picture)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise what they meet: SyntaxError, struct.error, EOFError, ...
        raise ImageError(f"can't be decoded: {error}") from error


def opened_picture(data: bytes) -> Image.Image:
    """A picture whose header is read. Raises ImageError where it is none."""
    if not data:
        raise ImageError("empty")
    try:
        with warnings.catch_warnings():
            # Pillow warns of pictures of more than 89 million pixels, and refuses twice that.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError("too large: more than 89 million pixels") from error
    except Exception as error:
        raise ImageError("no picture of a known format") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ImageError(f"grey values from {values.min()} to {values.max()}; 0 to 65535 are taken")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ImageError("its values are fractions (mode F); 8 or 16 bits are taken")
    if image.has_transparency_data:
        above = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")
    return image.convert("RGB")

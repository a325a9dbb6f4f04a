"""A picture file -> uint8 RGB pixels."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

IDENTITY = f"images-1/pillow-{PIL.__version__}"

FORMATS = tuple(
    plugin.format
    for plugin in (
        PngImagePlugin.PngImageFile,
        JpegImagePlugin.JpegImageFile,
        BmpImagePlugin.BmpImageFile,
        TiffImagePlugin.TiffImageFile,
        WebPImagePlugin.WebPImageFile,
        GifImagePlugin.GifImageFile,
    )
)
"""What a picture may be, whatever its name says. Others are never tried: EPS, say, would start another program."""
RESIZE = "Pillow's BILINEAR: a triangle as wide as the reduction (antialiased), rounded to 8 bits, across, then down"
"""The filter of `resized_picture`, for those who prepare pictures with other code."""
MOST_PIXELS = 89_478_485
"""What Pillow warns of; it refuses twice that."""
MOST_SCANS = 100
"""Of a progressive JPEG. Encoders write ten or so; each costs as much time as the whole picture."""
MOST_BITS = 16

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF's orientation, what brings a picture upright."""
ORIENTATION = 0x0112
PNG_CLUES = (b"eXIf", b"Raw profile type exif", b"tiff:Orientation")
"""A PNG's turn may stand behind its pixels, which are decoded only where one of these is in it."""

Size = tuple[int, int]


class ImageError(ValueError):
    """One file can't be used; the message is the short reason."""


def picture_size(data: bytes, upright: bool = False) -> Size:
    """(height, width) by the file's header; `upright`: as a viewer shows it. Raises ImageError where it's no picture.

    A TIFF is always upright, since Pillow turns it while it decodes.
    """
    with opened_picture(data) as image:
        height, width = image.height, image.width
        return (width, height) if upright and turn_of(image, data) >= 5 else (height, width)


def decode_picture(
    data: bytes, size: Size | None, *, bits: int | None = None, upright: bool = False
) -> NDArray[np.uint8]:
    """RGB (h, w, 3) at `size` (height, width), by Pillow's bilinear resize; None leaves the size as it is.

    Otherwise as `full_picture`, and it raises the same.
    """
    return resized_picture(full_picture(data, bits=bits, upright=upright), size)


def full_picture(data: bytes, *, bits: int | None = None, upright: bool = False) -> Image.Image:
    """The picture in RGB, at its own size.

    Grey (1, 8 or 16 bits), palette, RGB, CMYK and transparent pictures are taken; what is transparent lies on white.
    Of several frames the first is taken. `bits`: what a file of more than 8 bits uses of them, 16 where None, so that
    2**bits - 1 becomes 255. `upright`: a camera's turn (EXIF) is followed. Raises ImageError where the file can't be
    decoded, or holds a value above its bits.
    """
    with decoding("can't be decoded"), opened_picture(data) as image:
        turn = turn_of(image, data) if upright else 1
        picture = _to_rgb(image, data, bits)
        return picture if turn == 1 else picture.transpose(TURNS[turn])


def resized_picture(picture: Image.Image, size: Size | None) -> NDArray[np.uint8]:
    """RGB (h, w, 3) of a full picture, at `size` (height, width) or at its own. Raises ImageError where it can't be."""
    with decoding("can't be decoded"):
        if size is not None and size != (picture.height, picture.width):
            picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(picture)


def opened_picture(data: bytes) -> Image.Image:
    """A picture whose header is read. Raises ImageError where it is none, or one that would take too much to decode."""
    if not data:
        raise ImageError("empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError("too large: more than 89 million pixels") from error
    except Exception as error:
        raise ImageError("no picture of a known format") from error
    if image.width * image.height > MOST_PIXELS:  # Pillow's own limit may have been lifted in this process
        raise ImageError("too large: more than 89 million pixels")
    if image.info.get("progressive") and data.count(b"\xff\xda") > MOST_SCANS:
        raise ImageError(f"a progressive JPEG of more than {MOST_SCANS} scans")
    return image


@contextmanager
def decoding(failed: str) -> Iterator[None]:
    """Make an ImageError, which begins with `failed`, of all that decoders raise: they raise what they meet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they warn of is harmless or ends in an error
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # SyntaxError, struct.error, EOFError, ...
        raise ImageError(f"{failed}: {error}") from error


def turn_of(image: Image.Image, data: bytes) -> int:
    """A picture's orientation by EXIF, 1 to 8; 1, as it lies, where it has none that can be read. TIFFs have 1 here."""
    if image.format == "TIFF" or (image.format == "PNG" and not any(clue in data for clue in PNG_CLUES)):
        return 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Of another image object, as a PNG is decoded for it.
            turn = (opened_picture(data) if image.format == "PNG" else image).getexif().get(ORIENTATION, 1)
    except Exception:  # no EXIF that can be read; whether the pixels can is told when they are decoded
        return 1
    return turn if turn in TURNS else 1


def largest_value(data: bytes) -> int:
    """The largest value of a picture of more than 8 bits a channel, from 0 on; 0 for others, which are not decoded.

    Raises ImageError where it can't be decoded or is no picture.
    """
    with opened_picture(data) as image:
        if not image.mode.startswith("I") and not has_deep_colours(image):
            return 0
        with decoding("can't be decoded"):
            values = _grey(image) if image.mode.startswith("I") else deep_colours(image, data)[..., :3]
            return int(values.max())


def has_deep_colours(image: Image.Image) -> bool:
    """Whether a picture that is not decoded yet has colours of 16 bits a channel."""
    return _raw_mode(image) != ""


def deep_colours(image: Image.Image, data: bytes) -> NDArray[np.int64]:
    """The values of a picture of 16-bit colours (h, w, 3 or 4), of which Pillow gives one byte of two at a time."""
    raw = _raw_mode(image)
    if raw.startswith("LA"):  # grey and transparency: four bytes a pixel
        both = _bytes_as(data, "RGBA").astype(np.int64)
        grey, alpha = both[..., 0] * 256 + both[..., 1], both[..., 2] * 256 + both[..., 3]
        return np.stack([grey, grey, grey, alpha], axis=2)
    form = raw.split(";")[0]
    big, little = (_bytes_as(data, f"{form};16{order}").astype(np.int64) for order in "BL")
    # The unpacker of either order gives what is the upper byte by it.
    return big * 256 + little if raw.endswith("B") else little * 256 + big


def _raw_mode(image: Image.Image) -> str:
    """How 16-bit colours lie in the file; empty where the picture has none."""
    arguments = image.tile[0].args if getattr(image, "tile", None) else ""  # type: ignore[attr-defined]
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw if isinstance(raw, str) and ";16" in raw and image.mode in ("RGB", "RGBA") else ""


def _bytes_as(data: bytes, raw: str) -> NDArray[np.uint8]:
    """The pixels where each byte is taken as another raw mode of the same width says."""
    with opened_picture(data) as image:
        tiles = [
            tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw)
            for tile in image.tile  # type: ignore[attr-defined]
        ]
        image.tile = tiles  # type: ignore[attr-defined]
        return np.asarray(image)


def _grey(image: Image.Image) -> NDArray[np.int64]:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ImageError(f"grey values from {values.min()} to {values.max()}; 0 to 65535 are taken")
    return values


def _to_rgb(image: Image.Image, data: bytes, bits: int | None) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray(_in_8_bits(_grey(image), bits)).convert("RGB")
    if image.mode == "F":
        raise ImageError("its values are fractions (mode F); 8 or 16 bits are taken")
    if bits is not None and has_deep_colours(image):
        values = deep_colours(image, data)
        colours = _in_8_bits(values[..., :3], bits)
        if values.shape[2] == 3:
            return Image.fromarray(colours)
        alpha = _in_8_bits(np.minimum(values[..., 3:], 2**bits - 1), bits)
        image = Image.fromarray(np.concatenate([colours, alpha], axis=2))
    if image.has_transparency_data:
        above = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")
    return image.convert("RGB")


def _in_8_bits(values: NDArray[np.int64], bits: int | None) -> NDArray[np.uint8]:
    """Values of so many bits, rounded to 8."""
    top = 2 ** (bits or MOST_BITS) - 1
    if values.max() > top:
        raise ImageError(f"a value of {values.max()}, and pictures of {bits} bits end at {top}")
    scaled: NDArray[np.uint8] = ((values * 255 + top // 2) // top).astype(np.uint8)
    return scaled

"""PNG files hold the pixels they were given."""

import io
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from orchestrator.data.plotting.matplotlib_plot import draw_with_matplotlib
from orchestrator.data.plotting.plot_style import STYLES
from orchestrator.data.plotting.png import encode_png

DRAWS = np.random.default_rng(0)

PICTURES: dict[str, NDArray[np.uint8]] = {
    "a plot": draw_with_matplotlib(STYLES["seed"], DRAWS.normal(size=300)),
    "noise": DRAWS.integers(0, 256, (50, 70, 3), dtype=np.uint8),
    "black and white": DRAWS.integers(0, 2, (64, 300, 3), dtype=np.uint8) * np.uint8(255),
    "opaque": np.dstack([DRAWS.integers(0, 9, (20, 30, 3), dtype=np.uint8), np.full((20, 30), 255, np.uint8)]),
    "one pixel": np.full((1, 1, 3), 7, np.uint8),
    "black": np.zeros((9, 400, 3), np.uint8),
    "white": np.full((40, 2000, 3), 255, np.uint8),
    "not contiguous": DRAWS.integers(0, 256, (3, 40, 30), dtype=np.uint8).transpose(2, 1, 0),
    # Runs of 85 to 173 pixels: around one and two of deflate's longest matches.
    **{f"{width} wide": np.full((3, width, 3), 90, np.uint8) for width in range(85, 175, 8)},
}


@pytest.mark.parametrize("name", PICTURES)
def test_pixels_come_back(name: str) -> None:
    picture = PICTURES[name]
    decoded = Image.open(io.BytesIO(encode_png(picture)))
    assert decoded.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(decoded), picture[..., :3])


def test_the_stream_is_whole_and_its_checksum_right() -> None:
    picture = PICTURES["a plot"]
    png = encode_png(picture)
    at = png.index(b"IDAT")
    length = int.from_bytes(png[at - 4 : at], "big")
    rows = zlib.decompress(png[at + 4 : at + 4 + length])  # raises where the Adler-32 is wrong
    assert len(rows) == picture.shape[0] * (1 + 3 * picture.shape[1])
    assert int.from_bytes(png[at + 4 + length : at + 8 + length], "big") == zlib.crc32(png[at : at + 4 + length])


def test_a_plot_becomes_no_larger_than_four_times_pillows() -> None:
    picture = PICTURES["a plot"]
    theirs = io.BytesIO()
    Image.fromarray(picture[..., :3]).save(theirs, format="png")
    assert len(encode_png(picture)) < 4 * len(theirs.getvalue())

"""Spoiled and hostile pictures, masks and depth files: each ends in an ImageError or a result, in bounded time and
memory. Run as a script, it is the child process that a fuzzer is measured in."""

import contextlib
import io
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
from PIL import Image

from orchestrator.data.files.depth_files import decode_depth
from orchestrator.data.files.image_files import ImageError, decode_picture, largest_value, picture_size
from orchestrator.data.files.mask_reading import read_mask
from orchestrator.data.files.picture_facts import facts_of

MEMORY = 2**30
"""Bytes that decoding a file of some hundred bytes may take beyond what the imports took."""
SECONDS = 10
"""Of one file; generous, as machines may be busy."""
ROUNDS = 250

Decode = Callable[[bytes], object]
DECODERS: dict[str, Decode] = {
    "picture": lambda data: (picture_size(data, True), decode_picture(data, (16, 16), bits=12, upright=True)),
    "facts": lambda data: (facts_of(data), largest_value(data)),
    "mask": lambda data: read_mask(data, upright=True),
    "depth": lambda data: decode_depth(data, upright=True),
}


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def tiff(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **{"photometric": "minisblack"} | options)
    return file.getvalue()


def seeds() -> list[bytes]:
    """Whole files of every kind that is read."""
    generator = np.random.default_rng(0)
    colours = Image.fromarray(generator.integers(0, 256, (20, 24, 3), dtype=np.uint8))
    grey, deep = colours.convert("L"), generator.integers(0, 4096, (20, 24)).astype(np.uint16)
    points = generator.normal(size=(20, 24, 3)).astype(np.float32)
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        *(encoded(colours, form) for form in ("png", "jpeg", "bmp", "tiff", "webp", "gif")),
        encoded(colours, "jpeg", progressive=True, exif=exif),
        encoded(colours, "png", exif=exif),
        *(encoded(grey, "tiff", compression=one) for one in ("tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg")),
        encoded(colours.convert("P"), "png", transparency=3),
        encoded(colours.convert("RGBA"), "png"),
        encoded(grey.convert("1"), "tiff", compression="group4"),
        encoded(Image.fromarray(deep), "png"),
        tiff(deep, compression="zlib"),
        tiff(deep, tile=(16, 16)),
        tiff(points, photometric="rgb"),
        tiff(points[..., 2], compression="zlib", rowsperstrip=3),
        tiff(np.moveaxis(points, 2, 0)),
    ]


def spoiled(data: bytes, generator: np.random.Generator) -> bytes:
    """Some bytes changed, most of them near the head, where sizes and tags lie; or the end cut off, or doubled."""
    changed = bytearray(data)
    for _ in range(int(generator.integers(1, 9))):
        end = len(changed) if generator.random() < 0.4 else min(len(changed), 120)
        at = int(generator.integers(0, end))
        extreme = (0, 1, 0x7F, 0x80, 0xFF, int(generator.integers(0, 256)))
        changed[at] = extreme[int(generator.integers(0, 6))]
    if data[:4] in (b"II*\0", b"MM\0*") and generator.random() < 0.5:  # sizes and counts of a tag
        at = int(generator.integers(8, max(9, len(changed) - 4)))
        changed[at : at + 4] = struct.pack("<I", int(generator.choice([0, 1, 2**16, 2**24, 2**31, 2**32 - 1])))
    kind = generator.random()
    if kind < 0.15:
        return bytes(changed[: int(generator.integers(0, len(changed)))])
    return bytes(changed) * (2 if kind > 0.95 else 1)


def fuzz(name: str, start: int, rounds: int) -> None:
    """Decode `rounds` spoiled files; ends with an error on any other exception, or a file that takes too long."""
    decode, whole = DECODERS[name], seeds()
    for data in whole:  # imports and tables are no part of what a spoiled file takes
        try:
            decode(data)
        except ImageError:
            continue
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: PTH123, SIM115
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for number in range(start, start + rounds):
        generator = np.random.default_rng(number)
        data = spoiled(whole[number % len(whole)], generator)
        began = time.process_time()
        with contextlib.suppress(ImageError):
            decode(data)
        took = time.process_time() - began
        assert took < SECONDS, f"seed {number} took {took:.1f} s"


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, ROUNDS, 2 * ROUNDS])
@pytest.mark.parametrize("name", DECODERS)
def test_spoiled_files_end_in_an_image_error(name: str, start: int) -> None:
    command = [sys.executable, __file__, name, str(start), str(ROUNDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def ifd(width: int, height: int, *, rows: int, offset: int, count: int, **tags: tuple[int, int]) -> bytes:
    """The head of a TIFF of float32 values."""
    entries = {
        256: (4, width),
        257: (4, height),
        258: (3, 32),
        259: (3, 1),
        262: (3, 1),
        273: (4, offset),
        277: (3, 1),
        278: (4, rows),
        279: (4, count),
        339: (3, 3),
    } | {int(name[1:]): value for name, value in tags.items()}
    packed = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(entries.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", 0)


def inflating() -> bytes:
    """A TIFF of 100 x 100 values whose strip becomes a gigabyte."""
    packer = zlib.compressobj(9)
    strip = b"".join(packer.compress(bytes(10**7)) for _ in range(100)) + packer.flush()
    head = ifd(100, 100, rows=100, offset=0, count=len(strip), t259=(3, 8))
    return ifd(100, 100, rows=100, offset=len(head), count=len(strip), t259=(3, 8)) + strip


DEPTH_BOMBS = {
    "declared": (ifd(30_000, 30_000, rows=30_000, offset=0, count=0), "too large"),
    "rows": (ifd(1, 80_000_000, rows=1, offset=0, count=0), "80000000 strips"),
    "tiles": (
        ifd(64, 64, rows=1, offset=0, count=0, t322=(4, 2**31), t323=(4, 2**31), t324=(4, 8), t325=(4, 8)),
        "strips or tiles",
    ),
    "channels": (ifd(1000, 1000, rows=1000, offset=8, count=8, t277=(3, 60_000)), "too large"),
    "inflating": (inflating(), "become more bytes"),
    "nothing": (ifd(1, 80_000_000, rows=80_000_000, offset=0, count=0), "can't be decoded"),
    "sparse": (tiff(np.zeros((1, 1), np.float32))[:-4], "its depth"),
    "no bomb but a picture": (encoded(Image.new("1", (10_000, 9_000)), "png"), "too large"),
}


@pytest.mark.parametrize("name", DEPTH_BOMBS)
def test_depth_that_would_take_too_much_is_refused_by_its_head(name: str) -> None:
    data, reason = DEPTH_BOMBS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match=reason):
        decode_depth(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY // 2048


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
        b"P6\n2 2\n255\n" + bytes(12),
        b"%PDF-1.4\n",
        encoded(Image.new("RGB", (4, 4)), "jpeg2000"),
        encoded(Image.new("RGB", (4, 4)), "tga"),
        encoded(Image.new("RGB", (4, 4)), "ico"),
    ],
    ids=["eps", "ppm", "pdf", "jpeg2000", "tga", "ico"],
)
def test_only_the_formats_that_are_meant_are_tried(decode: Decode, data: bytes) -> None:
    with pytest.raises(ImageError, match="no picture of a known format"):
        decode(data)


def test_a_jpeg_of_endless_scans_is_refused_by_its_bytes() -> None:
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), "jpeg")
    progressive = encoded(Image.open(io.BytesIO(whole)), "jpeg", progressive=True)
    assert decode_picture(progressive, None).shape == (64, 64, 3)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    with pytest.raises(ImageError, match="more than 100 scans"):
        decode_picture(progressive[:-2] + scan * 200 + progressive[-2:], None)


if __name__ == "__main__":
    fuzz(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

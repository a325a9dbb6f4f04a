"""Pictures -> PNG files, quickly: plots are mostly repetition, so runs of one pixel are all that is looked for.

Each row is written as its difference from the row above (PNG's filter "up"); where one pixel's difference equals the
last one's, deflate repeats it (distance 3). One block with deflate's fixed codes; any reader decodes it.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from trainables.compiled import compiled

_LONGEST_RUN = 86
"""Pixels that one deflate match repeats: 258 bytes."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """The PNG file of a picture (H, W, 3), or of an opaque one (H, W, 4), as RGB."""
    assert picture.ndim == 3, picture.shape
    assert picture.shape[2] in (3, 4), picture.shape
    height, width = picture.shape[:2]
    # At worst every byte is a literal of nine bits; eight bytes to spare for the last word.
    data = np.empty((height * (3 * width + 1) * 9) // 8 + 64, dtype=np.uint8)
    packed = np.ascontiguousarray(picture)
    if picture.shape[2] == 3:
        packed = np.full((height, width, 4), 255, dtype=np.uint8)
        packed[..., :3] = picture
    size, adler = _deflate(packed.view("<u4")[..., 0], _LITERALS, _RUNS, data)
    pixels = b"\x78\x01" + data[:size].tobytes() + struct.pack(">I", adler)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _reversed_bits(code: int, length: int) -> int:
    return int(format(code, f"0{length}b")[::-1], 2)


def _symbol(symbol: int) -> tuple[int, int]:
    """The fixed code of a literal or length symbol, as it goes into the stream, and its length."""
    if symbol < 144:
        return _reversed_bits(0x30 + symbol, 8), 8
    if symbol < 256:
        return _reversed_bits(0x190 + symbol - 144, 9), 9
    if symbol < 280:
        return _reversed_bits(symbol - 256, 7), 7
    return _reversed_bits(0xC0 + symbol - 280, 8), 8


def _literals() -> NDArray[np.uint64]:
    """(256, 2): each byte's code and its length."""
    return np.array([_symbol(byte) for byte in range(256)], dtype=np.uint64)


def _runs() -> NDArray[np.uint64]:
    """(87, 2): the code of repeating the last pixel so many times, and its length; row 0 is unused."""
    extras = [0] * 8 + [bits for bits in range(1, 6) for _ in range(4)]
    bases = [3 + sum(2**bits for bits in extras[:index]) for index in range(len(extras))]
    rows = [(0, 0)]
    for pixels in range(1, _LONGEST_RUN + 1):
        length = 3 * pixels
        if length == 258:
            (code, bits), extra, extra_bits = _symbol(285), 0, 0
        else:
            index = max(i for i, base in enumerate(bases) if base <= length)
            (code, bits), extra, extra_bits = _symbol(257 + index), length - bases[index], extras[index]
        code |= extra << bits
        bits += extra_bits
        rows.append((code | _reversed_bits(2, 5) << bits, bits + 5))  # distance 3
    return np.array(rows, dtype=np.uint64)


_LITERALS = _literals()
_RUNS = _runs()


@compiled
def _flush(data: NDArray[np.uint8], at: int, word: np.uint64, bits: int) -> int:
    """Write the whole bytes of `word`; return how many."""
    whole = bits >> 3
    for i in range(whole):
        data[at + i] = np.uint8((word >> np.uint64(8 * i)) & np.uint64(255))
    return whole


@compiled
def _difference(pixel: np.uint32, above: np.uint32) -> int:
    """The three channels' differences modulo 256, as they lie in a packed pixel."""
    red = (int(pixel) - int(above)) & 255
    green = ((int(pixel) >> 8) - (int(above) >> 8)) & 255
    blue = ((int(pixel) >> 16) - (int(above) >> 16)) & 255
    return red | green << 8 | blue << 16


@compiled
def _deflate(
    pixels: NDArray[np.uint32], literals: NDArray[np.uint64], runs: NDArray[np.uint64], data: NDArray[np.uint8]
) -> tuple[int, int]:
    """Write the deflate stream of packed pixels (H, W), the lowest byte red; its length and its content's Adler-32."""
    height, width = pixels.shape
    longest = len(runs) - 1
    at = 0
    word, bits = np.uint64(3), 3  # the last block, with fixed codes
    low, high = 1, 0
    nothing = np.zeros(width, np.uint32)
    for y in range(height):
        row = pixels[y]
        above = pixels[y - 1] if y > 0 else nothing
        word |= literals[2, 0] << np.uint64(bits)
        bits += int(literals[2, 1])
        low += 2
        high += low
        x = 0
        while x < width:
            difference = _difference(row[x], above[x])
            for shift in (0, 8, 16):
                byte = (difference >> shift) & 255
                word |= literals[byte, 0] << np.uint64(bits)
                bits += int(literals[byte, 1])
                low += byte
                high += low
            start = x + 1
            x = start
            if difference == 0:
                while x < width and row[x] == above[x]:
                    x += 1
                high += 3 * low * (x - start)
            else:
                while x < width and _difference(row[x], above[x]) == difference:
                    for shift in (0, 8, 16):
                        low += (difference >> shift) & 255
                        high += low
                    x += 1
            left = x - start
            while True:
                whole = _flush(data, at, word, bits)
                at += whole
                word >>= np.uint64(8 * whole)
                bits &= 7
                if left == 0:
                    break
                run = min(left, longest)
                left -= run
                word |= runs[run, 0] << np.uint64(bits)
                bits += int(runs[run, 1])
        low %= 65521
        high %= 65521
    bits += 7  # the end of the block: seven zero bits
    at += _flush(data, at, word, (bits + 7) & ~7)
    return at, high << 16 | low

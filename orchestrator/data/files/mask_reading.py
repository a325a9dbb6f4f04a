"""What a mask says, in whatever notation: where the defect is, or why that can't be told without doubt.

Two values mean zero and non-zero: 0 and 255, 0 and 1, black and red, two entries of a palette. Transparency counts
where it alone varies. More than two grey values are a drawn mask whose edges were smeared (antialiased, saved as JPEG),
with its usual threshold of 127 of 255, where they lie as such a mask's do; else, as with the numbers of classes, the
mask is unclear. A mask of one value is told by the data set's others (`settled_states`).
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from orchestrator.data.files.image_files import (
    TURNS,
    decoding,
    deep_colours,
    has_deep_colours,
    opened_picture,
    turn_of,
)

Reading = Literal["known", "empty", "alone", "unclear"]
MaskState = Literal["", "known", "empty", "vanished", "size", "unreadable", "alone", "unclear"]
"""Of an anomaly's mask: none; it can be used; it marks nothing; nothing is left at the store's size; it has another
size than its picture; no picture; it has one value, whose meaning others must tell; its values can be read in several
ways. Only a known one counts."""

MASK_ABOVE = 127
LOW, HIGH = 63, 192
"""Of 0 to 255: what lies between them is the smear of an edge."""
DARKEST, BRIGHTEST = 31, 224
"""A smeared mask still reaches to both ends."""
SMEAR = 3
"""How many times as many pixels may be smeared as are clearly marked: a thin line is hardly more than its edges."""
SMEARED_SHARE = 0.25
"""Of all pixels: more is a picture of its own."""
OTHER_COLOUR = 110
"""How far one channel of a second colour lies from the first one's; JPEG's coarse colours stay below."""
NAMED = 6
"""Values that a reason names."""
SEPARATOR = ", "
ALPHA = "transparency "
ENTRY = "palette entry "
FEW = 8
"""Up to so many values, none of them is a smear that lies within 15 of an end, or fills an area."""
NEAR_END = 15
NOISE = 3
"""What JPEG may leave as an area of one value near an end."""


class Marks(NamedTuple):
    """A mask as it was read."""

    plane: NDArray[np.uint8]
    """(h, w): 255 where the defect is. Of one value: 255 everywhere, unless that is 0. All 0 where it is unclear."""
    reading: Reading
    values: str
    """The values found, for a person; also what tells masks of one value."""


def read_mask(data: bytes, upright: bool = False) -> Marks:
    """What a mask says; `upright`: after the turn that its EXIF names. Raises ImageError where it can't be decoded."""
    with decoding("can't be decoded"), opened_picture(data) as image:
        turn = turn_of(image, data) if upright else 1
        marks = _marks(image, data)
    if turn == 1:
        return marks
    return marks._replace(plane=np.asarray(Image.fromarray(marks.plane).transpose(TURNS[turn])))


def settled_states(states: Iterable[MaskState], values: Iterable[str]) -> list[MaskState]:
    """The states of a data set's masks, where those of one value mean what the others say of it.

    That value is a defect all over the picture where another mask has it beside 0. Of masks with transparency, where
    another one is told by that alone: the opaque is a defect, the transparent is not. Else it is unclear.
    """
    told: list[tuple[MaskState, str]] = list(zip(states, values, strict=True))
    known = {text for state, text in told if state in ("known", "vanished")}
    transparent = any(text.startswith(ALPHA) for text in known)
    return [_settled(text, known, transparent) if state == "alone" else state for state, text in told]


def _settled(text: str, known: set[str], transparent: bool) -> MaskState:
    value, _, alpha = text.partition(f" with {ALPHA}")
    value, _, entry = value.partition(f" of {ENTRY}")
    if alpha and transparent:
        return "empty" if alpha == "0" else "known"
    if entry and any(one.startswith(ENTRY) for one in known):
        return "empty" if entry == "0" else "known"
    if value == "0":
        return "empty"
    if value == "255" or f"0{SEPARATOR}{value}" in known:
        return "known"
    return "unclear"


def _marks(image: Image.Image, data: bytes) -> Marks:
    values, alpha, named = _values(image, data)
    if alpha is not None and alpha.min() != alpha.max():
        seen = values[alpha > 0].reshape(-1, 1 if values.ndim == 2 else 3)
        if (seen == seen[:1]).all():  # what is seen has one colour, so that it tells where it is seen
            read = _of_grey(alpha)
            return read._replace(values=ALPHA + read.values)
        return _unclear(alpha, "colours and transparency that both vary")
    read = _of_colours(values) if values.ndim == 3 else _of_grey(values)
    of_one = SEPARATOR not in read.values and read.reading != "unclear"
    if of_one and (alpha is not None or named):
        entry = f" of {ENTRY}{named}" if named else ""
        clear = f" with {ALPHA}{int(alpha[0, 0])}" if alpha is not None else ""
        return Marks(np.full(values.shape[:2], 255, dtype=np.uint8), "alone", f"{read.values}{entry}{clear}")
    return read._replace(values=f"{ENTRY}{read.values}") if named and read.reading == "known" else read


def _values(image: Image.Image, data: bytes) -> tuple[NDArray[Any], NDArray[np.uint8] | None, str]:
    """The mask's grey values (h, w) or colours (h, w, 3); its transparency (h, w) where it has one; and, where it has a
    palette, the one entry that is used, or `all` where entries are what was taken."""
    deep = deep_colours(image, data) if has_deep_colours(image) else None
    alpha: NDArray[np.uint8] | None = None
    if image.has_transparency_data and not image.mode.startswith("I"):
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
    if image.mode in ("1", "L", "F") or image.mode.startswith("I"):
        return np.asarray(image), alpha, ""
    if image.mode in ("P", "PA"):
        shown, entry = _of_palette(image)
        return shown, alpha, entry
    colours = np.asarray(image.convert("RGB")) if deep is None else deep[..., :3]
    return _grey_where_equal(colours), alpha, ""


def _of_palette(image: Image.Image) -> tuple[NDArray[Any], str]:
    """The colours that a palette shows. The entries' numbers where two of these show one colour, or none is black."""
    entries = np.asarray(image if image.mode == "P" else image.getchannel(0))
    colours = np.asarray(image.convert("RGB"))
    used, shown = _distinct(entries), _distinct(_packed(colours))
    if len(used) == 1:
        blank = not np.any(image.getpalette() or [0])
        return (entries if blank else _grey_where_equal(colours)), str(used[0])
    if len(shown) < len(used) or (len(used) == 2 and used[0] == 0 and shown[0] != 0):
        return entries, "all"
    return _grey_where_equal(colours), ""


def _grey_where_equal(colours: NDArray[Any]) -> NDArray[Any]:
    return colours[..., 0] if (colours[..., :1] == colours).all() else colours


def _of_grey(values: NDArray[Any]) -> Marks:
    """What grey values say."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return _unclear(values, "values that are no numbers")
    found = _distinct(values)
    names = _named(found)
    if len(found) == 1:
        if not found[0]:
            return Marks(np.zeros(values.shape, dtype=np.uint8), "empty", names)
        white = {"b": 1, "u": 255 if values.dtype.itemsize == 1 else 65535}.get(values.dtype.kind, 255)
        return Marks(np.full(values.shape, 255, dtype=np.uint8), "known" if found[0] == white else "alone", names)
    if len(found) == 2:
        return _two(values != 0, names) if not found.all() else _unclear(values, names)
    if found[0] < 0 or found[-1] > 65535:
        return _unclear(values, names)
    top = 255 if 1 < found[-1] <= 255 else 1 if found[-1] <= 1 else 65535
    return _smeared(values if top == 255 else values * (255 / top), names)


def _of_colours(colours: NDArray[Any]) -> Marks:
    """What colours (h, w, 3) say: one on black."""
    packed = _packed(colours)
    found = _distinct(packed)
    names = SEPARATOR.join(map(_colour, found[:NAMED].tolist())) + (" and more" if len(found) > NAMED else "")
    if len(found) == 1:
        return Marks(np.full(packed.shape, 255, dtype=np.uint8), "alone", names)
    if len(found) == 2:
        return _two(packed != 0, names) if not found[0] else _unclear(packed, names)
    brightest = colours.max(axis=2)
    clear = colours[brightest >= HIGH].astype(np.int64)
    away = np.abs(clear - np.median(clear, axis=0)) if len(clear) else np.zeros(1)
    if colours.dtype != np.uint8 or float(np.max(away)) > OTHER_COLOUR:
        return _unclear(packed, names)  # several colours: kinds of defects, or a picture; or 16 bits of smear
    return _smeared(brightest, names)


def _distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The different values, ascending."""
    if values.dtype.kind in "bu" and values.dtype.itemsize <= 2:  # in a tenth of the time
        return np.flatnonzero(np.bincount(values.ravel()))
    return np.unique(values)


def _packed(colours: NDArray[Any]) -> NDArray[np.int64]:
    """Colours (h, w, 3) of up to 16 bits as one number each; black is 0."""
    packed: NDArray[np.int64] = colours.astype(np.int64) @ np.array([1 << 32, 1 << 16, 1])
    return packed


def _two(marked: NDArray[np.bool_], names: str) -> Marks:
    return Marks(np.where(marked, np.uint8(255), np.uint8(0)), "known", names)


def _smeared(values: NDArray[Any], names: str) -> Marks:
    """A mask of 0 to 255 with smeared edges, where it is one: it reaches to both ends, what lies between them is
    little, and nowhere an area of one value, which would be a class or a value of its own."""
    if values.min() > DARKEST or values.max() < BRIGHTEST:
        return _unclear(values, names)
    levels = np.unique(values)[1:-1]
    few = len(levels) + 2 <= FEW
    if few and ((levels < NEAR_END) | (levels > 255 - NEAR_END)).any():
        return _unclear(values, names)
    noise = 0 if few else NOISE
    inner = (values > noise) & (values < 255 - noise)
    area = inner & (minimum_filter(values, 3, mode="nearest") == maximum_filter(values, 3, mode="nearest"))
    between = int(np.count_nonzero((values > LOW) & (values < HIGH)))
    marked = int(np.count_nonzero(values >= HIGH))
    if area.any() or between > min(SMEAR * marked, SMEARED_SHARE * values.size):
        return _unclear(values, names)
    return _two(values > MASK_ABOVE, names)


def _unclear(values: NDArray[Any], names: str) -> Marks:
    return Marks(np.zeros(values.shape[:2], dtype=np.uint8), "unclear", names)


def _named(values: NDArray[Any]) -> str:
    """Values for a person: all of a few, else the ends."""
    if len(values) > NAMED:
        return f"{len(values)} values from {values[0]:.6g} to {values[-1]:.6g}"
    return SEPARATOR.join(f"{value:.10g}" for value in values.tolist())


def _colour(packed: int) -> str:
    red, green, blue = packed >> 32, (packed >> 16) & 0xFFFF, packed & 0xFFFF
    return f"RGB({red} {green} {blue})" if packed else "0"

"""What the files of pictures say beside their pixels, and what it means for all of them: one divisor, one upright."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from orchestrator.data.files.image_files import MOST_BITS, ImageError, largest_value, opened_picture, turn_of

BITS = (8, 10, 12, 14, 16)
"""What cameras use of 16 bits."""
UNKNOWN = -1
"""Where `Facts.top` would stand: the file was not looked at, by a release that did not know of it."""


class Facts(NamedTuple):
    """Of one picture."""

    turn: int = 1
    """EXIF's orientation, 1 to 8."""
    top: int = 0
    """The largest value of a picture of more than 8 bits a channel; 0 for others."""


def facts_of(data: bytes) -> Facts:
    """What a picture's header says; only one of more than 8 bits is decoded. Nothing where it can't be."""
    try:
        with opened_picture(data) as image:
            turn = turn_of(image, data)
        return Facts(turn, largest_value(data))
    except (ImageError, MemoryError):  # told where the picture is drawn
        return Facts()


def bits_for(tops: Iterable[int]) -> int | None:
    """The least usual number of bits that holds all these values; None where there are none, or it is 16."""
    top = max(tops, default=0)
    bits = next(bits for bits in BITS if top < 2**bits)
    return bits if top > 0 and bits < MOST_BITS else None


def picture_remarks(facts: Sequence[Facts], bits: int | None, upright: bool) -> list[str]:
    """What to say of all pictures: how deep ones are read, and whether turns are followed."""
    remarks = []
    deep = [one.top for one in facts if one.top > 0]
    if deep:
        used = bits or MOST_BITS
        remarks.append(
            f"{len(deep)} of {len(facts)} pictures have more than 8 bits, with values up to {max(deep)}: all are read "
            f"as of {used} bits, by one divisor ({2**used - 1} is white). data.bits sets another."
        )
    turned = sum(one.turn != 1 for one in facts)
    if turned:
        said = (
            "they, their depth and their masks are each turned as their own EXIF says, so that they meet as a viewer "
            "shows them."
            if upright
            else "it is not followed, the pixels stay as they lie in the files. Turn the files themselves where it "
            "should be."
        )
        remarks.append(f"{turned} of {len(facts)} pictures carry a camera's turn (EXIF): {said}")
    return remarks

"""How large pictures may be, and how a size is written."""

from pydantic import StrictInt

from trainables.errors import InputError

Size = StrictInt | tuple[StrictInt, StrictInt]
"""N pixels a side, or (height, width)."""


def checked_size(size: Size) -> Size:
    """The size, if each side is between 8 and 2048 pixels; ValueError for any other."""
    if not all(8 <= side <= 2048 for side in ((size,) if isinstance(size, int) else size)):
        raise ValueError(f"size is {size}; each side must be 8 to 2048 pixels")
    return size


def sides(size: Size) -> tuple[int, int]:
    """(height, width) in pixels."""
    return (size, size) if isinstance(size, int) else size


def parse_size(text: str) -> tuple[int, int] | None:
    """`N`, `HxW` or `full` -> (height, width), or None for full size."""
    if text == "full":
        return None
    sides = text.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(side.isdecimal() for side in sides):
        raise InputError(f"--size is {text!r}; it must be N, HxW (such as 40x72) or full.")
    height, width = int(sides[0]), int(sides[-1])
    try:
        checked_size((height, width))
    except ValueError as error:
        raise InputError(f"--{str(error).rstrip('.')}.") from None
    return height, width

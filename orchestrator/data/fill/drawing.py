"""The bytes of one file -> the pixels of its picture, by a store's recipe."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.files import image_files, picture_layers
from orchestrator.data.files.content_hashes import Sources
from orchestrator.data.files.csv_table import SeriesError
from orchestrator.data.files.image_files import ImageError
from orchestrator.data.files.picture_layers import Planes
from orchestrator.data.files.series import READER_VERSION, DecimalMark, Gaps, Reading, parse_series, with_gaps
from orchestrator.data.files.sight import Sight, picture_sight, series_sight
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.layouts.table import LAYOUTS, LayoutName
from orchestrator.data.plotting.plot_style import style_name
from orchestrator.data.plotting.renderer import Renderer
from orchestrator.data.store.shards import Shape
from orchestrator.data.store.store import Recipe
from trainables.errors import InputError
from trainables.files import read_regular

PLOT_CANVAS = (600, 800)
"""Height and width that hold every plot at full size: a tight crop is smaller than the 8 × 6 inch figure."""


class DrawingError(ValueError):
    """One file gives no picture; the message is the short reason."""


class Mishap(DrawingError):
    """A failure whose cause may lie elsewhere than in the file, so that it is worth another try."""


class ShapeError(DrawingError):
    """A picture of another size than the store's, where it keeps the pictures' own."""


def recipe_of(
    layout: LayoutName,
    style: str,
    size: tuple[int, int] | None,
    column: str | None,
    kept: Planes = "rgb",
    gaps: Gaps = "drop",
    decimal: DecimalMark = "auto",
    bits: int | None = None,
    upright: bool | None = None,
) -> Recipe:
    """What these settings make pictures from, with the versions on this machine. InputError on an unknown style.

    `upright`: whether turns are followed; None: as it goes with the planes that are kept.
    """
    if not LAYOUTS[layout].plots:
        identity = picture_layers.identity(LAYOUTS[layout], kept) + (f"/{bits} bits" if bits is not None else "")
        turned = picture_layers.is_upright(kept) if upright is None else upright
        return Recipe(layout, None, size, None, identity, kept, bits=bits, upright=turned)
    identity = f"{Renderer(style, size).identity}/series-{READER_VERSION}"
    return Recipe(layout, style_name(style), size, column, identity, gaps=gaps, decimal=decimal)


def identity_of_colours(recipe: Recipe) -> str:
    """What the colours of a recipe's pictures depend on, whatever else is kept of them."""
    told = (recipe.gaps, recipe.decimal, recipe.bits, recipe.upright)
    return recipe_of(recipe.layout, recipe.style or "", recipe.size, recipe.column, "rgb", *told).identity


class Drawer:
    """From a file's bytes to its picture's planes (h, w, planes), by one recipe. One a process, as its renderer."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._renderer = Renderer(recipe.style, recipe.size) if recipe.style is not None else None
        self.reading: Reading | None = None
        """How the series drawn last was read; None of pictures."""
        self.sight: Sight | None = None
        """What is seen in the file drawn last; None before the first."""

    def start(self) -> None:
        """Get ready now what is else made ready after the first few pictures."""
        if self._renderer is not None:
            self._renderer.start()

    @property
    def remark(self) -> str:
        """What the user should know of how the pictures were drawn; mostly empty."""
        return self._renderer.remark if self._renderer is not None else ""

    def __call__(self, sources: Sources) -> NDArray[np.uint8]:
        """The planes. Raises DrawingError with the reason where there is none."""
        recipe = self._recipe
        with _told():
            if self._renderer is None:
                full = picture_layers.decode_full(
                    sources.picture, sources.depth, recipe.planes, recipe.bits, recipe.upright
                )
                self.sight = picture_sight(full)
                return picture_layers.resized_planes(full, sources.mask, recipe.planes, recipe.size)
            series = parse_series(sources.picture, recipe.column, recipe.gaps, recipe.decimal)
            self.reading, self.sight = series.reading, series_sight(series.values)
            return self._renderer.picture(series.values)

    def plot(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The plot of a column's values (n,), NaN where one is missing, by a recipe of plots. Raises DrawingError."""
        assert self._renderer is not None
        with _told():
            if np.isfinite(values).sum() < 2:
                raise SeriesError("fewer than two numbers")
            return self._renderer.picture(with_gaps(values, self._recipe.gaps))


@contextmanager
def _told() -> Iterator[None]:
    """Whatever one file or series raises, as DrawingError: it must not end the rendering of all."""
    try:
        yield
    except (SeriesError, ImageError, InputError) as error:
        raise DrawingError(str(error)) from error
    except Exception as error:
        raise Mishap(f"can't be drawn: {type(error).__name__}: {error}") from error


def shape_of(recipe: Recipe, listing: Listing) -> Shape:
    """(H, W, planes) of a store's pictures. Pictures taken at their own size follow the first that can be read."""
    depth = picture_layers.channels(recipe.planes)
    if recipe.size is not None:
        return (*recipe.size, depth)
    if LAYOUTS[recipe.layout].plots:
        return (*PLOT_CANVAS, depth)
    return (*first_picture(listing, recipe.upright)[1], depth)


def first_picture(listing: Listing, upright: bool) -> tuple[str, tuple[int, int]]:
    """The first file that can be opened as a picture, and its height and width. InputError where there is none."""
    for file in listing.files:
        try:
            return file.path, image_files.picture_size(read_regular(listing.root / file.path), upright)
        except (OSError, ImageError):
            continue
    raise InputError(
        f"None of the {len(listing.files)} files in {str(listing.root)!r} is a picture that can be opened. "
        "Check the path (data.path)."
    )


def place_on(canvas: NDArray[np.uint8], picture: NDArray[np.uint8], recipe: Recipe) -> tuple[int, int]:
    """Put a picture at the top left of a canvas (H, W, 3), white beyond it; its height and width."""
    height, width = picture.shape[:2]
    whole_plot = recipe.size is None and LAYOUTS[recipe.layout].plots
    if (height, width) == canvas.shape[:2]:
        canvas[...] = picture
    elif whole_plot and height <= canvas.shape[0] and width <= canvas.shape[1]:
        canvas[...] = 255
        canvas[:height, :width] = picture
    else:
        raise ShapeError(f"{height}x{width} pixels, not {canvas.shape[0]}x{canvas.shape[1]}")
    return height, width

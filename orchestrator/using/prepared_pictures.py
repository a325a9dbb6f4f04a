"""Files -> pictures, as those that a kept model was trained on were made: by the same code, to the pixel."""

import warnings
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.models import KeptModel
from orchestrator.data.files.content_hashes import Sources
from orchestrator.data.files.depth_files import decode_depth
from orchestrator.data.files.image_files import ImageError, full_picture, picture_size
from orchestrator.data.files.picture_layers import refuse_other_aspect, resized_depth
from orchestrator.data.files.series import Reading
from orchestrator.data.files.series_remarks import reading_line, series_remarks
from orchestrator.data.fill.drawing import Drawer, DrawingError, recipe_of
from orchestrator.data.layouts.depth_folders import DEPTH_FOLDERS
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.data.store.store import Recipe
from trainables.errors import InputError
from trainables.files import read_regular

AnyPath = str | PathLike[str]
MOST_READINGS = 10_000
"""Series whose readings are remembered for remarks."""


class PictureReader:
    """Reads and draws files for one kept model. One a process, as its renderer."""

    def __init__(self, kept: KeptModel) -> None:
        """A UserWarning where what draws or decodes here is another version than in training."""
        self.kept = kept
        self.readings: dict[str, Reading] = {}
        how = kept.preprocessing
        self.gaps, self._column = how.get("gaps", "drop"), how["column"]
        self.layout = LAYOUTS[how["layout"]]
        known = how.get("identity")
        if known is not None and known != self.recipe.identity:
            warnings.warn(
                f"The pictures that {kept.variant} was trained on were made by {known}, and are made by "
                f"{self.recipe.identity} here: pixels, and so scores, may differ.",
                stacklevel=2,
            )

    @cached_property
    def recipe(self) -> Recipe:
        """What pictures are made by here."""
        how = self.kept.preprocessing
        return recipe_of(
            *(how["layout"], how["style"], self.size, self._column),
            gaps=self.gaps,
            decimal=how.get("decimal", "auto"),
            bits=how.get("bits"),
            upright=self.upright,
        )

    @cached_property
    def drawer(self) -> Drawer:
        """Made when the first file is read."""
        return Drawer(self.recipe)

    @property
    def upright(self) -> bool:
        """Whether the model's pictures were turned as their EXIF says."""
        return bool(self.kept.preprocessing.get("upright", False))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the model's pictures."""
        height, width = self.kept.shape[:2]
        return height, width

    @property
    def remarks(self) -> list[str]:
        """What was left out or taken for granted in the series read so far, one sentence each."""
        return series_remarks(self.readings, self._column, self.gaps)

    @property
    def note(self) -> str:
        """What was left out or taken for granted in the series read last; empty: nothing, or it was a picture."""
        reading = self.drawer.reading
        return "" if reading is None else reading_line(reading)

    def picture(self, path: AnyPath) -> NDArray[np.uint8]:
        """The picture of a file, (H, W, 3). InputError where it can't be used."""
        try:
            picture = self.drawer(Sources(read_regular(path)))
        except (OSError, DrawingError) as error:
            raise unusable(path, error) from None
        if self.drawer.reading is not None and len(self.readings) < MOST_READINGS:
            self.readings[str(path)] = self.drawer.reading
        return picture

    def plot(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The picture of a series' numbers (n,), NaN where one is missing: as of a CSV that holds them.

        InputError where there is none.
        """
        try:
            return self.drawer.plot(values)
        except DrawingError as error:
            raise InputError(str(error)) from None

    def depth(self, path: AnyPath, picture: AnyPath) -> NDArray[np.float32]:
        """The depth map of a file (H, W), at the size of the pictures, of whose file it is the depth."""
        try:
            values = decode_depth(read_regular(path), self.upright)
            refuse_other_aspect(values.shape, picture_size(read_regular(picture), self.upright))
            return resized_depth(values, self.size)
        except (OSError, ImageError) as error:
            raise unusable(path, error) from None

    def depth_beside(self, picture: AnyPath) -> NDArray[np.float32]:
        """The depth map of a picture by the place of its file, as the layout has it. InputError where there is none."""
        folders = DEPTH_FOLDERS[self.layout.name]
        path = folders.depth_of(Path(picture))
        if path is None:
            beside = f", or {Path(picture).stem}_depth beside it" if folders.beside else ""
            raise InputError(
                f"{str(picture)!r} can't be used: it has no depth. Put it where the training's lay: a folder "
                f"{folders.depth} beside the picture's folder {folders.picture}{beside}."
            )
        return self.depth(path, picture)

    def original(self, path: AnyPath, prepared: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A file's picture at its own size (h, w, 3); of a series the plot as the model sees it, `prepared`.
        InputError where it can't be used any more."""
        if self.layout.plots:
            return prepared
        how = self.kept.preprocessing
        try:
            return np.asarray(full_picture(read_regular(path), bits=how.get("bits"), upright=self.upright))
        except (OSError, ImageError) as error:
            raise unusable(path, error) from None


def unusable(path: AnyPath, error: Exception) -> InputError:
    """What is told of a file that gives no picture."""
    return InputError(f"{str(path)!r} can't be used: {reason_of(error)}. Leave it out, or mend it.")


def reason_of(error: Exception) -> str:
    """The short reason, without a full stop."""
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return reason.rstrip(".")

"""The words of a listing: which files a data set has, and which class and part each belongs to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

Layout = Literal["series", "images", "spill", "mvtec", "rgbd", "mvtec3d"]
Part = Literal["train", "validation", "test"]

PARTS: tuple[Part, ...] = ("train", "validation", "test")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SUFFIXES: dict[Layout, tuple[str, ...]] = {
    "series": (".csv",),
    "images": PICTURE_SUFFIXES,
    "spill": PICTURE_SUFFIXES,
    "mvtec": PICTURE_SUFFIXES,
    "rgbd": PICTURE_SUFFIXES,
    "mvtec3d": PICTURE_SUFFIXES,
}
PART_FOLDERS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
DEPTH_LAYOUTS: tuple[Layout, ...] = ("rgbd", "mvtec3d")
NORMAL_CLASSES: dict[Layout, str] = {"spill": "normal", "mvtec": "good", "rgbd": "normal", "mvtec3d": "good"}
"""The class that a detection layout calls normal."""


class ListedFile(NamedTuple):
    """One file of the data set. Bytes of its name that are no UTF-8 are surrogates (`os.fsencode` gives them back)."""

    path: str
    """Relative to the root, with '/' between the folders; so are `depth` and `mask`."""
    class_name: str
    """For detection layouts the kind of picture, such as good, crack or hole."""
    part: Part | None
    """The part that the user's folders put it in; None where they don't say."""
    depth: str | None = None
    mask: str | None = None
    """Of anomalies only: a normal picture has no defect, so a mask it may have is not read."""


class Skipped(NamedTuple):
    """One file that is left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """What was found under a root, both in the order of `os.fsencode(path)`."""

    root: Path
    layout: Layout
    files: tuple[ListedFile, ...]
    skipped: tuple[Skipped, ...]
    remarks: tuple[str, ...] = ()
    """What the user should know of it, one sentence each."""

    @property
    def normal(self) -> str | None:
        """The class that is normal, where the layout says so."""
        return NORMAL_CLASSES.get(self.layout)

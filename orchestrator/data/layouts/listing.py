"""The words of a listing: what a layout is, which files a data set has, which class and part each belongs to."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

Part = Literal["train", "validation", "test"]

PARTS: tuple[Part, ...] = ("train", "validation", "test")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
PART_FOLDERS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Layout:
    """One way that a data set's files can lie: all that is known of it."""

    name: str
    summary: str
    """One line for lists and help texts."""
    shape: str
    """What its folders look like, for errors."""
    find: Callable[[Path, "Layout", "Walk"], "Listing"]
    """(root, this row, the files below the root) -> the listing. InputError where the files do not lie so."""
    clue: Callable[[Path, "Walk"], str]
    """(root, the files below it) -> what in the tree says that it lies so; empty: nothing does."""
    suffixes: tuple[str, ...] = PICTURE_SUFFIXES
    normal: str | None = None
    """The class that is normal, where the layout says so."""
    trains: str = ""
    """Where it says so, the folder of the pictures that train."""
    plots: bool = False
    """Whether its files are series, of which plots are drawn."""
    depth: bool = False
    """Whether its pictures have depth."""
    annotated: bool = False
    """Whether a file beside the pictures says their classes, which their paths then do not."""
    decoders: tuple[str, ...] = ()
    """Packages beside Pillow that the values of its files depend on."""


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


class Walk(NamedTuple):
    """What lies below a root."""

    found: dict[str, list[str]]
    """By relative folder, the names of the files that have one of the suffixes."""
    others: Counter[str]
    """How many files have another suffix, by suffix."""
    skipped: list[Skipped]
    """What can't be read."""


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
        return self.layout.normal

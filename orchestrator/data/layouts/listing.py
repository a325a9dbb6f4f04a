"""The words of a listing: what a layout is, which files a data set has, which class and part each belongs to."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

Part = Literal["train", "validation", "test"]

PARTS: tuple[Part, ...] = ("train", "validation", "test")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp")
SERIES_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
LONGEST_FIRST = sorted((*SERIES_SUFFIXES, *PICTURE_SUFFIXES), key=len, reverse=True)
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
HIDDEN = "names that begin with a dot"
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
    partial: bool = False
    """Whether what is listed joins a data set that is known: one class, of detection the normal one, is enough."""


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
    others: dict[str, Counter[str]]
    """By relative folder, how many files have another suffix, by suffix."""
    examples: dict[str, str]
    """Of each such suffix the first file."""
    skipped: list[Skipped]
    """What can't be read, and what is not read twice."""
    apart: Counter[str]
    """How many files that have one of the suffixes lie where nothing is taken: in hidden or system folders, by folder;
    under HIDDEN those that are hidden themselves."""
    empty: list[str]
    """Folders that hold nothing, or hidden entries only."""

    @property
    def suffixes(self) -> Counter[str]:
        """How many files have another suffix, by suffix."""
        total: Counter[str] = Counter()
        for counts in self.others.values():
            total.update(counts)
        return total

    def without(self, path: str) -> "Walk":
        """The same without one file of another suffix, which a layout has a use for."""
        folder, suffix = path.rpartition("/")[0], suffix_of(path)
        if not self.others.get(folder, Counter[str]())[suffix]:
            return self
        left = {**self.others, folder: self.others[folder] - Counter({suffix: 1})}
        return self._replace(others={name: counts for name, counts in left.items() if counts})


@dataclass(frozen=True)
class Listing:
    """What was found under a root, both in the order of `os.fsencode(path)`."""

    root: Path
    layout: Layout
    files: tuple[ListedFile, ...]
    skipped: tuple[Skipped, ...]
    remarks: tuple[str, ...] = ()
    """What the user should know of it, one sentence each."""
    read: tuple[str, ...] = ()
    """Files of another suffix that the layout has read."""
    others: dict[str, int] = field(default_factory=dict)
    """How many files were left out for their suffix, by suffix."""

    @property
    def normal(self) -> str | None:
        """The class that is normal, where the layout says so."""
        return self.layout.normal


def without_suffix(path: str) -> str:
    """A path without its suffix, which every listed file has; `.csv.gz` is one."""
    name = path.lower()
    return next((path[: -len(suffix)] for suffix in LONGEST_FIRST if name.endswith(suffix)), path)


def suffix_of(path: str) -> str:
    """The suffix of any file in small letters, with the one before it where it is of a packed file: `.txt.gz`."""
    suffixes = PurePosixPath(path.lower()).suffixes
    return "".join(suffixes[-2:] if suffixes and suffixes[-1] in PACKED else suffixes[-1:])

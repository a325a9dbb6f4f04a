"""Where the files of a data set lie, and which class and part each belongs to."""

import os
from collections import Counter
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, TypeVar

from trainables.errors import InputError

Layout = Literal["series", "images"]
Part = Literal["train", "validation", "test"]

PARTS: tuple[Part, ...] = ("train", "validation", "test")
SUFFIXES: dict[Layout, tuple[str, ...]] = {
    "series": (".csv",),
    "images": (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"),
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


class ListedFile(NamedTuple):
    """One file of the data set. Bytes of its name that are no UTF-8 are surrogates (`os.fsencode` gives them back)."""

    path: str
    """Relative to the root, with '/' between the folders."""
    class_name: str
    part: Part | None
    """The part that the user's folders put it in; None where they don't say."""


class Skipped(NamedTuple):
    """One file that is left out, and why."""

    path: str
    reason: str


Row = TypeVar("Row", ListedFile, Skipped)


@dataclass(frozen=True)
class Listing:
    """What was found under a root, both in the order of `os.fsencode(path)`."""

    root: Path
    layout: Layout
    files: tuple[ListedFile, ...]
    skipped: tuple[Skipped, ...]


def find_files(root: Path, layout: Layout) -> Listing:
    """List the files of a tree whose first folder is the class, as in torchvision's ImageFolder.

    Deeper folders only group. Where every top folder that holds files is called train, training, val, valid,
    validation, test or testing, these are the parts and the next folder is the class. Names that start with a dot
    are left alone. Links are followed, a link to a folder above itself is not.

    Raises InputError where the root can't be read, where it holds no such files, and where all are of one class.
    """
    suffixes = SUFFIXES[layout]
    found, others, skipped = _walk(_checked(root), suffixes)
    if not found:
        raise InputError(_nothing_found(root, layout, others))
    supplied = all(folder.split("/", 1)[0].lower() in PART_FOLDERS for folder in found if folder)
    files: list[ListedFile] = []
    for folder, names in found.items():
        folders = folder.split("/") if folder else []
        part = PART_FOLDERS[folders.pop(0).lower()] if folders and supplied else None
        if folders:
            class_name = folders[0]
            files += [ListedFile(f"{folder}/{name}", class_name, part) for name in names]
        else:
            where = "its part's folder" if part else "the root"
            reason = f"it lies directly in {where}: only files in a class folder are taken"
            skipped += [Skipped(f"{folder}/{name}" if folder else name, reason) for name in names]
    if not files:
        raise InputError(
            f"The class of a file is the folder it lies in, and none of the {sum(map(len, found.values()))} "
            f"{_names(suffixes)} files in {str(root)!r} lies in a class folder. Put each class's files in a folder of "
            f"its own, such as {'normal' if '' in found else 'train/normal'}/{min(next(iter(found.values())))}."
        )
    classes = sorted({file.class_name for file in files}, key=os.fsencode)
    if len(classes) == 1:
        raise InputError(
            f"At least two classes are needed, and all {len(files)} {_names(suffixes)} files in {str(root)!r} are of "
            f"one: {classes[0]!r}. Give the folder that holds one folder for each class"
            + (" (in each of train, val and test)." if supplied else ".")
        )
    return Listing(root, layout, tuple(_sorted(files)), tuple(_sorted(skipped)))


def _sorted(listed: list[Row]) -> list[Row]:
    """In the order of the paths' bytes."""
    if all(one.path.isascii() for one in listed):
        return sorted(listed, key=attrgetter("path"))
    return sorted(listed, key=lambda one: os.fsencode(one.path))


def _checked(root: Path) -> Path:
    if not root.exists():
        raise InputError(f"The data folder {str(root)!r} does not exist. Check the path (data.path).")
    if not root.is_dir():
        raise InputError(
            f"The data path {str(root)!r} is a file. Give the folder that holds one folder for each class."
        )
    try:
        with os.scandir(root):
            return root
    except OSError as error:
        raise InputError(
            f"The data folder {str(root)!r} can't be read: {error.strerror}. Give this user the right to list it."
        ) from error


def _walk(root: Path, suffixes: tuple[str, ...]) -> tuple[dict[str, list[str]], Counter[str], list[Skipped]]:
    """The names of the files with a suffix by relative folder, how many have another one, and what can't be read."""
    found: dict[str, list[str]] = {}
    others: Counter[str] = Counter()
    skipped: list[Skipped] = []
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while pending:
        folder, above = pending.pop()
        inside = f"{folder}/" if folder else ""
        names: list[str] = []
        try:
            status = (root / folder).stat()
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                skipped.append(Skipped(folder, "a link to a folder that it lies in"))
                continue
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith("."):
                        continue
                    if entry.is_dir():
                        pending.append((inside + name, above | {identity}))
                    elif not name.lower().endswith(suffixes):
                        others[PurePosixPath(name).suffix.lower()] += 1
                    elif entry.is_file():
                        names.append(name)
                    else:
                        reason = "a link to nothing" if entry.is_symlink() else "not a regular file"
                        skipped.append(Skipped(inside + name, reason))
        except OSError as error:
            skipped.append(Skipped(folder, f"the folder can't be read: {error.strerror}"))
        if names:
            found[folder] = names
    return found, others, skipped


def _nothing_found(root: Path, layout: Layout, others: Counter[str]) -> str:
    message = f"No {_names(SUFFIXES[layout])} files in {str(root)!r} or the folders below it (layout: {layout}). "
    if not others:
        return message + "There are no other files either. Check the path (data.path)."
    counts = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in others.most_common(5))
    message += f"Found instead: {counts}. "
    for other, suffixes in SUFFIXES.items():
        if other != layout and any(suffix in suffixes for suffix in others):
            return message + f"Use layout: {other} (data.layout), or check the path (data.path)."
    return message + "Check the path (data.path)."


def _names(suffixes: tuple[str, ...]) -> str:
    return suffixes[0] if len(suffixes) == 1 else ", ".join(suffixes[:-1]) + " or " + suffixes[-1]

"""The layouts `series` and `images`: the folder that a file lies in is its class, as in torchvision's ImageFolder."""

import os
from pathlib import Path

from orchestrator.data.layouts.listing import PART_FOLDERS, Layout, ListedFile, Listing, Skipped, Walk
from orchestrator.data.layouts.walking import in_order, listed_suffixes
from trainables.errors import InputError


def find_class_folders(root: Path, layout: Layout, tree: Walk) -> Listing:
    """List the files of a tree whose first folder is the class. Deeper folders only group.

    Where every top folder that holds files is called train, training, val, valid, validation, test or testing, these
    are the parts and the next folder is the class.

    Raises InputError where no file lies in a class folder, and where all are of one class.
    """
    found, skipped = tree.found, list(tree.skipped)
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
    suffixes = listed_suffixes(layout)
    if not files:
        raise InputError(
            f"The class of a file is the folder it lies in, and none of the {sum(map(len, found.values()))} "
            f"{suffixes} files in {str(root)!r} lies in a class folder. Put each class's files in a folder of "
            f"its own, such as {'normal' if '' in found else 'train/normal'}/{min(next(iter(found.values())))}."
        )
    classes = sorted({file.class_name for file in files}, key=os.fsencode)
    if len(classes) == 1:
        raise InputError(
            f"At least two classes are needed, and all {len(files)} {suffixes} files in {str(root)!r} are of "
            f"one: {classes[0]!r}. Give the folder that holds one folder for each class"
            + (" (in each of train, val and test)." if supplied else ".")
        )
    return Listing(root, layout, in_order(files), in_order(skipped))


def mostly_series(root: Path, tree: Walk) -> str:
    """Whether more files are CSV than pictures."""
    series, total = _counts(tree)
    return f"{series} of {total} files are CSV" if series > total - series else ""


def mostly_pictures(root: Path, tree: Walk) -> str:
    """Whether at least as many files are pictures as CSV."""
    series, total = _counts(tree)
    if series > total - series:
        return ""
    return f"{total - series} of {total} files are pictures, and no folder is of another layout"


def _counts(tree: Walk) -> tuple[int, int]:
    series = sum(name.lower().endswith(".csv") for names in tree.found.values() for name in names)
    return series, sum(map(len, tree.found.values()))

"""The layouts `series` and `images`: the folder that a file lies in is its class, as in torchvision's ImageFolder."""

import os
from pathlib import Path

from orchestrator.data.layouts.class_checks import (
    mask_remarks,
    part_remarks,
    refuse_mask_folders,
    refuse_nested_copies,
    refuse_odd_folders,
)
from orchestrator.data.layouts.left_out import in_words, refuse_lost_folders
from orchestrator.data.layouts.listing import (
    PART_FOLDERS,
    SERIES_SUFFIXES,
    Layout,
    ListedFile,
    Listing,
    Skipped,
    Walk,
)
from orchestrator.data.layouts.names import class_names, folded, visible
from orchestrator.data.layouts.walking import in_order
from trainables.errors import InputError


def find_class_folders(root: Path, layout: Layout, tree: Walk) -> Listing:
    """List the files of a tree whose first folder is the class. Deeper folders only group.

    Where every top folder that holds files is called train, training, val, valid, validation, test or testing, these
    are the parts and the next folder is the class.

    Raises InputError where no file lies in a class folder, where all are of one class, where a class folder loses all
    its files for their suffix, and where a folder is taken for a class that is none: beside parts, of masks, a copy of
    the whole.
    """
    refuse_odd_folders(root, tree)
    supplied = all(folder.split("/", 1)[0].lower() in PART_FOLDERS for folder in tree.found if folder)
    depth = 2 if supplied else 1
    others = [folder.split("/") for folder in tree.others]
    ours = [parts for parts in others if not supplied or folded(parts[0]) in PART_FOLDERS]
    refuse_lost_folders(tree, layout, ["/".join(parts[:depth]) for parts in ours])
    refuse_mask_folders(root, tree)
    refuse_nested_copies(root, tree, supplied)
    folders = [folder.split("/") for folder in tree.found if folder]
    classes, remarks = class_names(parts[depth - 1] for parts in folders if len(parts) >= depth)
    files: list[ListedFile] = []
    skipped = list(tree.skipped)
    for folder, names in tree.found.items():
        parts = folder.split("/") if folder else []
        part = PART_FOLDERS[parts[0].lower()] if parts and supplied else None
        if len(parts) >= depth:
            class_name = classes[parts[depth - 1]]
            files += [ListedFile(f"{folder}/{name}", class_name, part) for name in names]
        else:
            where = "its part's folder" if part else "the root"
            reason = f"it lies directly in {where}: only files in a class folder are taken"
            skipped += [Skipped(f"{folder}/{name}" if folder else name, reason) for name in names]
    _refuse_too_few(root, layout, tree, files, supplied)
    remarks += [*mask_remarks(tree), *(() if supplied else part_remarks(tree))]
    return Listing(root, layout, in_order(files), in_order(skipped), tuple(remarks))


def _refuse_too_few(root: Path, layout: Layout, tree: Walk, files: list[ListedFile], supplied: bool) -> None:
    """InputError where no file lies in a class folder, or all are of one class."""
    found = tree.found
    present = {name.lower() for names in found.values() for name in names}
    suffixes = in_words([one for one in layout.suffixes if any(name.endswith(one) for name in present)])
    if not files:
        first = min((name for names in found.values() for name in names), key=os.fsencode)
        raise InputError(
            f"The class of a file is the folder it lies in, and none of the {sum(map(len, found.values()))} "
            f"{suffixes} files in {str(root)!r} lies in a class folder. Put each class's files in a folder of "
            f"its own, such as {'normal' if '' in found else 'train/normal'}/{visible(first)}."
        )
    classes = sorted({file.class_name for file in files}, key=os.fsencode)
    if len(classes) == 1 and not layout.partial:
        inside = {folder.split("/")[0] for folder in found if "/" in folder}
        example = f", perhaps {str(root / inside.pop())!r}" if len(inside) == 1 and not supplied else ""
        raise InputError(
            f"At least two classes are needed, and all {len(files)} {suffixes} files in {str(root)!r} are of "
            f"one: {classes[0]!r}. Give the folder that holds one folder for each class"
            + (" (in each of train, val and test)." if supplied else f"{example}.")
        )


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
    series = sum(name.lower().endswith(SERIES_SUFFIXES) for names in tree.found.values() for name in names)
    return series, sum(map(len, tree.found.values()))

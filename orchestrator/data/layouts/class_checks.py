"""Folders that would be taken for classes and are none: parts, masks and labels, copies of the whole."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from orchestrator.data.layouts.listing import PART_FOLDERS, Walk, without_suffix
from orchestrator.data.layouts.names import folded, quoted
from trainables.errors import InputError

MASKS = frozenset(
    (
        "groundtruth", "groundtruths", "masks", "labels", "annotation", "annotations", "segmentation", "segmentations",
        "segmentationmask", "segmentationmasks", "segmasks", "labelmasks", "maskimages", "boundingboxes", "bboxes",
    )
)  # fmt: skip
"""What folders of masks or labels are called, without capitals and marks between."""
PERHAPS_MASKS = frozenset(("mask", "label", "gt"))
"""What they are called too, and classes as well: it takes the same file names elsewhere to tell."""
OF_MASKS = re.compile(r"[_-]?(mask|label|gt|groundtruth)$")
ALIKE = 0.5
"""The share of a folder's files that must be called as others are."""
WAYS_OUT = (
    "If it is, use a layout that has masks (data.layout: mvtec with ground_truth/<kind>, rgbd with mask/; "
    "`orchestrate inspect` guesses), or move the folder out of the data; a folder whose name begins with a dot is left "
    "alone. If it is a class, rename it."
)


def refuse_odd_folders(root: Path, tree: Walk) -> None:
    """InputError where parts with class folders lie at the top and other folders beside them, which would make each
    part a class; and where a folder at the top holds such parts itself."""
    below = _children(tree)
    holding = {folder.split("/", 1)[0] for folder in tree.found if folder}
    parts = _in_order(top for top in below[""] if _is_part(top))
    odd = _in_order(top for top in holding if not _is_part(top))
    if not odd:
        return
    if _kinds(parts) >= 2 and any(below[part] for part in parts):
        masks = [name for name in odd if _plain(name) in MASKS]
        hint = f" For masks in {quoted(masks)} there is the layout mvtec (data.layout)." if masks else ""
        raise InputError(
            f"The folders {quoted(parts)} in {str(root)!r} are parts, with a folder for each class, and beside them "
            f"lies what is no part: {quoted(odd)}. Move it out of the data folder, or into a part as a class; a folder "
            f"whose name begins with a dot is left alone.{hint}"
        )
    for top in odd:
        inside = _in_order(name for name in below[top] if _is_part(name))
        if _kinds(inside) >= 2 and any(below[f"{top}/{part}"] for part in inside):
            raise InputError(
                f"The folder {quoted([top])} in {str(root)!r} would be a class, and holds parts with a folder for each "
                f"class: {quoted(inside)}. Give {str(root / top)!r} as the data folder (data.path), or move that "
                "folder out of it."
            )


def refuse_mask_folders(root: Path, tree: Walk) -> None:
    """InputError where pictures or series in folders of masks or labels would be taken for those of a class."""
    certain, perhaps = _mask_folders(tree)
    wrong = [*certain, *_called_alike(tree, perhaps)]
    if wrong:
        raise InputError(
            f"What lies in {quoted(wrong)} in {str(root)!r} would be taken for files of a class, and by its name it "
            f"holds masks or labels. {WAYS_OUT}"
        )


def refuse_nested_copies(root: Path, tree: Walk, supplied: bool) -> None:
    """InputError where a class folder holds a folder for each of the other classes: a copy of the whole."""
    below = _children(tree)
    for place in _in_order(below[""]) if supplied else [""]:
        classes = below[place]
        for name in _in_order(classes):
            folder = f"{place}/{name}" if place else name
            inside = below[folder]
            if len(classes) >= 2 and (inside >= classes or (len(classes) > 2 and inside >= classes - {name})):
                raise InputError(
                    f"The folder {quoted([folder])} in {str(root)!r} would be a class, and holds a folder for each "
                    f"class itself ({quoted(_in_order(inside))}), as a second copy of the data does. Move the copy out "
                    "of the data folder, or give one of the two (data.path)."
                )


def mask_remarks(tree: Walk) -> list[str]:
    """What may be masks and is taken for files of a class: folders by their names, and files that are called so."""
    remarks = []
    perhaps = _mask_folders(tree)[1]
    if perhaps:
        remarks.append(f"What lies in {quoted(perhaps)} is taken for files of a class; by the name it may be masks.")
    beside = []
    for folder, names in tree.found.items():
        bare = {folded(without_suffix(name)): name for name in names}
        beside += [f"{folder}/{bare[one]}" for one in bare if OF_MASKS.search(one) and OF_MASKS.sub("", one) in bare]
    if beside:
        remarks.append(
            f"{len(beside)} files are called as the mask of a file beside them, and are taken for files of a class: "
            f"{quoted(_in_order(beside), 2)}."
        )
    return remarks


def part_remarks(tree: Walk) -> list[str]:
    """Folders that are called as parts are and are none, since other folders lie beside them or they lie deeper."""
    below = _children(tree)
    parts = _in_order(top for top in below[""] if _is_part(top))
    others = _in_order(top for top in below[""] if not _is_part(top))
    remarks = []
    if parts and others:
        remarks.append(
            f"The folders {quoted(parts)} are taken for classes and not for parts, since {quoted(others)} lie beside "
            "them."
        )
    deeper = [f"{top}/{name}" for top in others for name in _in_order(below[top]) if _is_part(name)]
    if _kinds(folder.split("/")[1] for folder in deeper) >= 2:
        remarks.append(
            f"Folders such as {quoted(deeper, 2)} only group: train and test are your parts where they lie at the top, "
            "with the class folders in them."
        )
    return remarks


def _mask_folders(tree: Walk) -> tuple[list[str], list[str]]:
    """The folders that are called as those of masks, and those that may be: each the highest of its kind."""
    found: tuple[set[str], set[str]] = (set(), set())
    for folder in tree.found:
        parts = folder.split("/")
        for end, name in enumerate(parts, start=1):
            if _plain(name) in MASKS or _plain(name) in PERHAPS_MASKS:
                found[_plain(name) in PERHAPS_MASKS].add("/".join(parts[:end]))
                break
    return _in_order(found[0]), _in_order(found[1])


def _called_alike(tree: Walk, folders: list[str]) -> list[str]:
    """Those whose files are called as others outside, and beside which no folder is called by what it lacks."""
    if not folders:
        return []
    names: dict[str, Counter[str]] = {}
    for folder, files in tree.found.items():
        inside = next((one for one in folders if folder == one or folder.startswith(f"{one}/")), "")
        bare = (OF_MASKS.sub("", folded(without_suffix(name))) for name in files)
        names.setdefault(inside, Counter()).update(bare)
    every = sum(names.values(), Counter[str]())
    below = _children(tree)
    alike = []
    for folder in folders:
        above, _, name = folder.rpartition("/")
        as_class = any(_plain(name) in folded(beside) for beside in below[above] - {name})
        own = names[folder]
        shared = sum(count for one, count in own.items() if every[one] > count)
        if not as_class and shared >= ALIKE * own.total():
            alike.append(folder)
    return alike


def _children(tree: Walk) -> dict[str, set[str]]:
    """By folder, the names of the folders directly in it that hold files, in them or below; "" is the root."""
    below: dict[str, set[str]] = defaultdict(set)
    for folder in (*tree.found, *tree.others):
        while folder:
            above, _, name = folder.rpartition("/")
            below[above].add(name)
            folder = above
    return below


def _plain(name: str) -> str:
    """A name without capitals and marks."""
    return re.sub(r"[\W_]+", "", folded(name))


def _is_part(name: str) -> bool:
    return folded(name) in PART_FOLDERS


def _kinds(folders: Iterable[str]) -> int:
    """How many different parts folders of these names are."""
    return len({PART_FOLDERS[folded(name)] for name in folders})


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=os.fsencode)

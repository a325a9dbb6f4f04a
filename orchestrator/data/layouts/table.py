"""The one table of layouts, and the door to the files of a tree that lies as one of them says."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from orchestrator.data.layouts.class_folders import find_class_folders, mostly_pictures, mostly_series
from orchestrator.data.layouts.depth_folders import MVTEC3D, RGBD
from orchestrator.data.layouts.left_out import listed_suffixes, name_remarks, nothing_found, remarks_on
from orchestrator.data.layouts.listing import SERIES_SUFFIXES, Layout, ListedFile, Listing, Skipped
from orchestrator.data.layouts.mvtec import find_mvtec, mvtec_clue
from orchestrator.data.layouts.spill import find_spill, spill_clue
from orchestrator.data.layouts.walking import checked_root, in_order, walk
from trainables.errors import InputError
from trainables.files import as_utf8

LAYOUTS = {
    row.name: row
    for row in (
        Layout(
            "series",
            summary="CSV files in class folders, rendered to plots",
            shape="one folder for each class",
            find=find_class_folders,
            clue=mostly_series,
            suffixes=SERIES_SUFFIXES,
            plots=True,
        ),
        Layout(
            "images",
            summary="pictures in class folders",
            shape="one folder for each class",
            find=find_class_folders,
            clue=mostly_pictures,
        ),
        Layout(
            "spill",
            summary="train/, proliv/, test/imgs/ and test/test_annotation.txt",
            shape="train/, proliv/, test/imgs/ and test/test_annotation.txt",
            find=find_spill,
            clue=spill_clue,
            normal="normal",
            trains="train/",
            annotated=True,
        ),
        Layout(
            "mvtec",
            summary="MVTec AD",
            shape="train/good/, test/<kind>/ and ground_truth/<kind>/",
            find=find_mvtec,
            clue=mvtec_clue,
            normal="good",
            trains="train/good",
        ),
        Layout(
            "rgbd",
            summary="train|val|test, then normal|anomaly, then rgb/, depth/, mask/",
            shape="train/normal/rgb/ and depth/, test/normal/ and test/anomaly/ with rgb/, depth/ and mask/",
            find=RGBD.find,
            clue=RGBD.clue,
            normal="normal",
            trains="train/normal",
            depth=True,
        ),
        Layout(
            "mvtec3d",
            summary="MVTec 3D-AD",
            shape="train/good/rgb/ and xyz/, test/<kind>/ with rgb/, xyz/ and gt/",
            find=MVTEC3D.find,
            clue=MVTEC3D.clue,
            normal="good",
            trains="train/good",
            depth=True,
            decoders=("tifffile",),
        ),
    )
}
"""By name, the most general first: where a tree has clues to several, it lies as the last of them says."""

if TYPE_CHECKING:
    LayoutName = str
else:
    LayoutName = Literal[tuple(LAYOUTS)]


def find_files(root: Path, layout: LayoutName, *, partial: bool = False) -> Listing:
    """List the files of a tree that lies as `layout` says. No picture is opened. `partial`: as in Layout.

    Raises InputError where the root can't be read, where it does not lie so, where all files are of one class, and,
    for the detection layouts, where no normal picture trains. Remarks say what was left out for its suffix or place.
    """
    if layout not in LAYOUTS:
        raise InputError(f"There is no layout {layout!r}. Layouts: {', '.join(LAYOUTS)}.")
    row = replace(LAYOUTS[layout], partial=partial)
    tree = walk(checked_root(root, row.shape), row.suffixes)
    if not tree.found:
        raise nothing_found(root, row, tree, LAYOUTS.values())
    listing = row.find(root, row, tree)
    for path in listing.read:
        tree = tree.without(path)
    remarks = (*listing.remarks, *name_remarks(listing.files), *remarks_on(tree, row))
    return replace(listing, remarks=remarks, others=dict(tree.suffixes))


def find_any_files(paths: Sequence[Path], layout: LayoutName) -> Listing:
    """List all files with a suffix of `layout`: those of one tree, however it lies, or those that are named.

    A file's class is the first folder it lies in below the root, or the root's own name. Raises InputError where
    nothing is found, where a path is missing, and where folders are among several paths.
    """
    row = LAYOUTS[layout]
    skipped: list[Skipped] = []
    remarks: list[str] = []
    if len(paths) == 1 and not paths[0].is_file():
        root = paths[0]
        tree = walk(checked_root(root, f"{listed_suffixes(row)} files"), row.suffixes)
        if not tree.found:
            raise nothing_found(root, row, tree, [row])
        found = [f"{folder}/{name}" if folder else name for folder, names in tree.found.items() for name in names]
        skipped, remarks = tree.skipped, remarks_on(tree, row)
    else:
        for path in paths:
            if not path.is_file() or not path.name.lower().endswith(row.suffixes):
                what = "is no file" if not path.is_file() else "has another suffix"
                raise InputError(f"{str(path)!r} {what}. Give one folder, or files: {listed_suffixes(row)} are taken.")
        absolute = [path.absolute() for path in paths]
        root = Path(os.path.commonpath([path.parent for path in absolute]))
        found = [path.relative_to(root).as_posix() for path in dict.fromkeys(absolute)]
    own = root.absolute().name or "root"
    files = [ListedFile(path, as_utf8(path.split("/")[0]) if "/" in path else own, None) for path in found]
    return Listing(root, row, in_order(files), in_order(skipped), (*name_remarks(files), *remarks))


def guess_layout(root: Path) -> tuple[LayoutName, str]:
    """The layout, and what in the tree says so. InputError where it holds no file that any layout takes."""
    suffixes = {suffix: None for row in LAYOUTS.values() for suffix in row.suffixes}
    tree = walk(checked_root(root, LAYOUTS["images"].shape), tuple(suffixes))
    if not tree.found:
        raise nothing_found(root, LAYOUTS["images"], tree, LAYOUTS.values())
    for row in reversed(LAYOUTS.values()):
        clue = row.clue(root, tree)
        if clue:
            return row.name, clue
    raise AssertionError("one of the layouts of class folders always has a clue")

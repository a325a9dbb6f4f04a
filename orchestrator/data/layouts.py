"""Where the files of a data set lie, and which class and part each belongs to: the door to every layout."""

from pathlib import Path

from orchestrator.data.class_folders import find_class_folders
from orchestrator.data.depth_layouts import find_depth_pictures
from orchestrator.data.detection_layouts import find_mvtec, find_spill
from orchestrator.data.listing import (
    DEPTH_LAYOUTS,
    NORMAL_CLASSES,
    PART_FOLDERS,
    PARTS,
    SUFFIXES,
    Layout,
    ListedFile,
    Listing,
    Part,
    Skipped,
)

__all__ = [
    "DEPTH_LAYOUTS",
    "NORMAL_CLASSES",
    "PARTS",
    "PART_FOLDERS",
    "SUFFIXES",
    "Layout",
    "ListedFile",
    "Listing",
    "Part",
    "Skipped",
    "find_files",
]


def find_files(root: Path, layout: Layout) -> Listing:
    """List the files of a tree that lies as `layout` says. No picture is opened.

    Raises InputError where the root can't be read, where it does not lie so, where all files are of one class, and,
    for the detection layouts, where no normal picture trains.
    """
    match layout:
        case "series" | "images":
            return find_class_folders(root, layout)
        case "spill":
            return find_spill(root)
        case "mvtec":
            return find_mvtec(root)
        case "rgbd" | "mvtec3d":
            return find_depth_pictures(root, layout)
